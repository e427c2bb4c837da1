-- One row a slice (the chain, weekdays, months, years, store types, assortments, stores) and its
-- value: on which share of the open days there is a promotion, in the history and in the plan.
-- `cramers_v` tells of the whole slice how far promotions depend on it: 0 not at all, 1 wholly.
with

open_days as (
    select 'history' as side, store_id, date, is_promo from cleaned.sales
    where is_open and sales > 0
    union all
    select 'plan', store_id, date, is_promo from cleaned.plan
    where is_open
),

-- Days on which some stores have a promotion and others have none.
days as (
    select
        side,
        date,
        bool_or(is_promo) and not bool_and(is_promo) as is_split
    from open_days
    group by side, date
),

described as (
    select
        open_days.*,
        days.is_split,
        cast(isodow(open_days.date) as varchar) as weekday,
        lpad(cast(month(open_days.date) as varchar), 2, '0') as month,
        cast(year(open_days.date) as varchar) as year,
        coalesce(stores.store_type, 'unknown') as store_type,
        coalesce(stores.assortment, 'unknown') as assortment
    from open_days
    inner join days using (side, date)
    left join cleaned.stores as stores using (store_id)
),

sliced as (
    select
        case grouping(weekday, month, year, store_type, assortment, store_id)
            when 63 then 'all'
            when 31 then 'weekday'
            when 47 then 'month'
            when 55 then 'year'
            when 59 then 'store_type'
            when 61 then 'assortment'
            else 'store'
        end as slice,
        coalesce(
            weekday, month, year, store_type, assortment, cast(store_id as varchar), 'all'
        ) as value,
        count(*) filter (where side = 'history') as open_store_days,
        count(distinct date) filter (where side = 'history' and is_promo) as promo_days,
        count(distinct date) filter (where side = 'history' and is_split) as split_days,
        avg(cast(is_promo as integer)) filter (where side = 'history') as promo_share,
        avg(cast(is_promo as integer)) filter (where side = 'plan') as planned_share
    from described
    group by grouping sets (
        (), (weekday), (month), (year), (store_type), (assortment), (store_id)
    )
),

chain as (
    select open_store_days, promo_share from sliced where slice = 'all'
),

dependence as (
    select
        sliced.slice,
        sqrt(
            sum(sliced.open_store_days * (sliced.promo_share - chain.promo_share) ** 2)
            / nullif(any_value(
                chain.open_store_days * chain.promo_share * (1 - chain.promo_share)
            ), 0)
        ) as cramers_v
    from sliced
    cross join chain
    where sliced.slice <> 'all'
    group by sliced.slice
)

select
    sliced.slice,
    sliced.value,
    sliced.open_store_days,
    sliced.promo_days,
    sliced.split_days,
    sliced.promo_share,
    sliced.planned_share,
    dependence.cramers_v,
    case
        when dependence.cramers_v < 0.1 then 'even'
        when dependence.cramers_v < 0.3 then 'uneven'
        when dependence.cramers_v >= 0.3 then 'very uneven'
    end as verdict
from sliced
left join dependence using (slice)
-- A coming month or store that the history is without has no share to compare with.
where sliced.open_store_days > 0
order by
    list_position(
        ['all', 'weekday', 'month', 'year', 'store_type', 'assortment', 'store'], sliced.slice
    ),
    try_cast(sliced.value as integer),
    sliced.value
