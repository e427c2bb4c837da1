-- One row a store: what a promotion adds to its day, in EUR and as a share, and its place among the
-- stores with how sure that is. The lift is that of the mean weekday, against days without
-- promotion, after what all stores of a day share was taken off. `moved_week_eur` is the same in all
-- rows: what a promotion week is worth in a store of the best tenth instead of one of the last.
with

days as (
    select
        store_id,
        date,
        cast(isodow(date) as tinyint) as weekday,
        is_promo,
        sales,
        ln(sales) as log_sales,
        ln(sales) - avg(ln(sales)) over (partition by store_id, isodow(date), is_promo) as surprise
    from cleaned.sales
    where is_open and sales > 0
),

chain_days as (
    select date, avg(surprise) as surprise from days group by date
),

adjusted as (
    select
        days.store_id,
        date_trunc('week', days.date) as week,
        (days.date - date '2000-01-03') // 28 as block,
        days.weekday,
        days.is_promo,
        days.sales,
        days.log_sales - chain_days.surprise as log_sales
    from days
    inner join chain_days using (date)
),

sides as (
    select
        store_id,
        weekday,
        is_promo,
        count(*) as days,
        avg(sales) as sales,
        avg(log_sales) as log_sales
    from adjusted
    group by store_id, weekday, is_promo
),

cells as (
    select
        with_promo.store_id,
        with_promo.weekday,
        with_promo.days as promo_days,
        without.sales as plain_sales,
        with_promo.log_sales - without.log_sales as log_lift
    from sides as with_promo
    inner join sides as without
        on
            without.store_id = with_promo.store_id
            and without.weekday = with_promo.weekday
            and not without.is_promo
    where with_promo.is_promo
),

store_lifts as (
    select
        store_id,
        count(*) as cells,
        sum(promo_days) as promo_days,
        avg(plain_sales) as plain_sales,
        avg(log_lift) as log_lift
    from cells
    group by store_id
),

promo_weeks as (
    select store_id, median(days) as days_of_promo_week
    from (
        select store_id, week, count(*) as days
        from adjusted
        where is_promo
        group by store_id, week
    )
    group by store_id
),

-- How surprises of four weeks move a store's lift, and its sales without promotion: days of one week
-- are no evidence of their own, and what lasts for weeks cancels out between promotions and the weeks
-- beside them.
store_blocks as (
    select
        adjusted.store_id,
        adjusted.block,
        sum(
            if(adjusted.is_promo, 1, -1) * (adjusted.log_sales - sides.log_sales) / sides.days
        ) as surprise,
        sum(
            if(adjusted.is_promo, 0, 1) * (adjusted.log_sales - sides.log_sales) / sides.days
        ) as plain_surprise
    from adjusted
    inner join sides using (store_id, weekday, is_promo)
    inner join cells using (store_id, weekday)
    group by adjusted.store_id, adjusted.block
),

noise as (
    select
        store_id,
        sqrt(sum(surprise ** 2) * count(*) / (count(*) - 1)) as surprise,
        sqrt(sum(plain_surprise ** 2) * count(*) / (count(*) - 1)) as plain_surprise,
        count(*) - 1 as freedom
    from store_blocks
    group by store_id
    having count(*) > 1
)

select
    store_lifts.store_id,
    stores.store_type,
    stores.assortment,
    store_lifts.promo_days,
    promo_weeks.days_of_promo_week,
    store_lifts.plain_sales,
    noise.plain_surprise / store_lifts.cells as log_plain_error,
    store_lifts.log_lift,
    noise.surprise / store_lifts.cells as log_lift_error,
    noise.freedom
from store_lifts
inner join noise using (store_id)
inner join promo_weeks using (store_id)
left join cleaned.stores as stores using (store_id)
order by store_lifts.store_id
