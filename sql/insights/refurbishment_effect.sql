-- One row a stretch of time around a closure of more than 60 days: how far a store's sales were from
-- their level in the half-year before it closed, beyond what stores that stayed open did on the same
-- days. Four weeks at a time before closing and after reopening, and all days from 13 weeks after.
with

selling_days as (
    select
        days.*,
        lead(date) over (partition by store_id order by date) as next_date
    from insights.deviations as days
),

gaps as (
    select store_id, date as closed_after, next_date as reopened_on, next_date - date - 1 as away
    from selling_days
    where next_date - date - 1 > 60
),

closures as (
    -- A store's longest, if there were several.
    select
        gaps.store_id,
        gaps.closed_after,
        gaps.reopened_on,
        gaps.away,
        stores.store_type
    from gaps
    inner join cleaned.stores as stores using (store_id)
    qualify row_number() over (
        partition by gaps.store_id order by gaps.away desc, gaps.closed_after
    ) = 1
),

others_days as (
    select stores.store_type, days.date, avg(days.sales_residual) as shared
    from insights.deviations as days
    inner join cleaned.stores as stores using (store_id)
    anti join closures using (store_id)
    group by stores.store_type, days.date
    having count(*) >= 3
),

chain_days as (
    select days.date, avg(days.sales_residual) as shared
    from insights.deviations as days
    anti join closures using (store_id)
    group by days.date
    having count(*) >= 3
),

own_days as (
    -- Kinds with few stores to compare with are compared with all others.
    select
        closures.store_id,
        days.date <= closures.closed_after as is_before,
        cast(if(
            days.date <= closures.closed_after,
            days.date - closures.closed_after - 1,
            days.date - closures.reopened_on
        ) as integer) as day,
        days.sales_residual - coalesce(others_days.shared, chain_days.shared) as beyond
    from closures
    inner join insights.deviations as days using (store_id)
    inner join chain_days on chain_days.date = days.date
    left join others_days
        on others_days.date = days.date and others_days.store_type = closures.store_type
    where days.date between closures.closed_after - 181 and closures.reopened_on + 363
),

befores as (
    select store_id, avg(beyond) as level
    from own_days
    where is_before
    group by store_id
    having count(*) >= 42
),

moved as (
    select own_days.*, own_days.beyond - befores.level as change
    from own_days
    inner join befores using (store_id)
),

stretches as (
    select
        if(is_before, 'before closing', 'after reopening') as slice,
        printf('%+d', 4 * cast(floor(day / 28) as integer)) as value,
        4 * cast(floor(day / 28) as integer) as from_week,
        store_id,
        avg(change) as change
    from moved
    where not is_before or day >= -84
    group by all
    union all by name
    select
        'settled' as slice, 'from 13 weeks after' as value, 100 as from_week, store_id,
        avg(change) as change
    from moved
    where not is_before and day >= 91
    group by store_id
),

effects as (
    select
        slice,
        value,
        from_week,
        count(*) as stores,
        avg(change) as effect,
        insights.margin_95(change) as margin
    from stretches
    group by slice, value, from_week
)

select
    slice,
    value,
    case when slice <> 'settled' then from_week end as from_week,
    stores,
    (select median(away) from closures semi join befores using (store_id)) as median_days_away,
    exp(effect) - 1 as effect,
    exp(effect - margin) - 1 as effect_lo_95,
    exp(effect + margin) - 1 as effect_hi_95
from effects
order by effects.from_week
