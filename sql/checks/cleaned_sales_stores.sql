-- One row a store that has delivered sales or is planned: whether its calendar is whole and its
-- sales are all there, up to the calendar's $last_day. `has_newest_week` is null for a store that
-- delivered nothing in the week before, so that one that has closed for good is told of once.
with

span as (
    select min(date) as first_day, cast($last_day as date) as last_day from raw.sales
),

delivered as (
    select
        sales.store_id,
        sum(sales.sales) filter (where sales.date <= span.last_day) as delivered_sales,
        bool_or(sales.date > span.last_day - 7 and sales.date <= span.last_day)
            as delivers_newest_week,
        bool_or(sales.date > span.last_day - 14 and sales.date <= span.last_day - 7)
            as delivers_week_before
    from raw.sales as sales
    cross join span
    group by sales.store_id
),

cleaned_days as (
    select store_id, count(distinct date) as days, sum(sales) as cleaned_sales
    from cleaned.sales
    group by store_id
)

select
    store_id,
    stores.store_id as known_store_id,
    coalesce(cleaned_days.days, 0) as days,
    span.last_day - span.first_day + 1 as calendar_days,
    coalesce(cleaned_days.cleaned_sales, 0) / nullif(delivered.delivered_sales, 0)
        as share_of_delivered_sales,
    case when delivered.delivers_week_before then delivered.delivers_newest_week end
        as has_newest_week
from delivered
full join cleaned_days using (store_id)
cross join span
left join cleaned.stores as stores using (store_id)
order by store_id
