-- One row a week, of seven days up to the newest day on which the last refresh knew of sales: what
-- its known days sold as they are delivered now, as a multiple of what they sold then.
with

compared as (
    select
        known.sales as known_sales,
        delivered.sales as delivered_sales,
        max(date) over () as newest_day,
        cast(newest_day - date as integer) // 7 as weeks_ago
    from cleaned.sales as known
    inner join raw.sales as delivered using (store_id, date)
    where known.sales > 0
)

select
    newest_day - 7 * weeks_ago as week_end,
    sum(delivered_sales) / sum(known_sales) as times_known
from compared
group by week_end
order by week_end
