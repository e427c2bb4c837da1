-- One row: how old the newest sales are on $today, against how old a delivery's newest sales
-- usually are. A history that ended years ago is as old as it was when it was delivered; what
-- counts is that it grows older than that.
with

deliveries as (
    select
        sales.load_id,
        max(sales.date) as newest_day,
        cast(any_value(loads.loaded_at) as date) - max(sales.date) as age_days
    from raw.sales as sales
    inner join raw.loads as loads using (load_id)
    where sales.date <= $last_day
    group by sales.load_id
)

select
    max(newest_day) as newest_day,
    cast($today as date) - max(newest_day) as age_days,
    min(age_days) as usual_age_days,
    cast($today as date) - max(newest_day) - min(age_days) as overdue_days
from deliveries
