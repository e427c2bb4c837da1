-- One row a group of stores (those that sell on most Sundays, and all others) and weekday: the day's
-- share of the week, and what it sells against the same store's Tuesdays to Fridays. Promotion days
-- are left out, since they run on some weekdays only.
with

days as (
    select
        store_id,
        cast(isodow(date) as tinyint) as weekday,
        is_promo,
        sales,
        customers,
        is_open and sales > 0 as sells,
        bool_or(is_open and sales > 0) over (
            partition by store_id, date_trunc('week', date)
        ) as sells_that_week
    from cleaned.sales
),

groups as (
    -- A Sunday that no file speaks of was a closed one, unless the store was away for the week.
    select store_id, avg(cast(sells as integer)) > 0.5 as opens_sundays
    from days
    where weekday = 7 and sells_that_week
    group by store_id
),

store_weekdays as (
    select
        groups.opens_sundays,
        days.store_id,
        days.weekday,
        count(*) as open_days,
        avg(days.sales) as mean_sales,
        avg(ln(days.sales)) as log_sales,
        avg(ln(days.customers)) filter (where days.customers > 0) as log_customers
    from days
    inner join groups using (store_id)
    where days.sells and not days.is_promo
    group by all
),

compared as (
    -- A few Sundays of a store that is shut on the others say nothing of its week.
    select
        opens_sundays,
        store_id,
        weekday,
        open_days,
        mean_sales / sum(mean_sales) over store as week_share,
        log_sales - avg(log_sales) filter (where weekday between 2 and 5) over store as sales,
        log_customers - avg(log_customers) filter (where weekday between 2 and 5) over store
            as customers
    from store_weekdays
    where opens_sundays or weekday < 7
    window store as (partition by store_id)
)

select
    if(opens_sundays, 'open on Sundays', 'closed on Sundays') as stores_are,
    weekday,
    count(*) as stores,
    sum(open_days) as open_days,
    avg(week_share) as week_share,
    exp(avg(sales)) - 1 as sales_effect,
    exp(avg(sales) - insights.margin_95(sales)) - 1 as sales_lo_95,
    exp(avg(sales) + insights.margin_95(sales)) - 1 as sales_hi_95,
    exp(avg(customers)) - 1 as customers_effect
from compared
where sales is not null
group by opens_sundays, weekday
order by opens_sundays desc, weekday
