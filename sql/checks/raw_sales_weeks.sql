-- One row a week, of seven days up to the calendar's $last_day, of the newest four: what was
-- delivered of it, as a share of the median of the eight weeks before it. A week without any row is
-- there too; shares are null where fewer than eight weeks went before.
with

span as (
    select min(date) as first_day, cast($last_day as date) as newest_day from raw.sales
),

weeks as (
    select
        week_number,
        cast(newest_day - 7 * cast(week_number as integer) as date) as week_end
    from span
    cross join generate_series(0, 11) as numbers(week_number)
    where newest_day - 7 * cast(week_number as integer) - 6 >= first_day
),

delivered as (
    select
        weeks.week_number,
        weeks.week_end,
        count(sales.store_id) as delivered_rows,
        coalesce(sum(sales.sales), 0) as delivered_sales
    from weeks
    left join raw.sales as sales
        on sales.date > weeks.week_end - 7 and sales.date <= weeks.week_end
    group by weeks.week_number, weeks.week_end
),

compared as (
    select
        *,
        count(*) over eight_before as weeks_before,
        median(delivered_rows) over eight_before as usual_rows,
        median(delivered_sales) over eight_before as usual_sales
    from delivered
    window eight_before as (order by week_end rows between 8 preceding and 1 preceding)
)

select
    week_end,
    delivered_rows,
    delivered_sales,
    case when weeks_before = 8 then delivered_rows / nullif(usual_rows, 0) end as share_of_rows,
    case when weeks_before = 8 then delivered_sales / nullif(usual_sales, 0) end as share_of_sales
from compared
where week_number < 4
order by week_end
