-- One row a delivered store day of raw.sales, with what its suite looks at.
-- Of the newest four weeks, `times_usual` holds sales against the store's median selling day.
-- `days_ahead` counts from the calendar's $last_day: what is ahead of it waits for other stores.
with

newest as (
    select cast($last_day as date) as newest_day
),

usual as (
    select store_id, median(sales) as usual_sales
    from raw.sales
    where sales > 0
    group by store_id
)

select
    sales.store_id,
    sales.date,
    sales.load_id,
    sales.line,
    sales.sales,
    sales.customers,
    sales.state_holiday,
    stores.store_id as known_store_id,
    sales.date - newest.newest_day as days_ahead,
    case when sales.date > newest.newest_day - 28 then sales.sales / usual.usual_sales end
        as times_usual
from raw.sales as sales
cross join newest
left join raw.stores as stores using (store_id)
left join usual using (store_id)
