-- One row: the last day that the calendar reaches. A later one is a typing error, or early: in the
-- week up to it, no day is told of by a fifth of the stores that usually are. It waits in raw.sales
-- until more of them come, so that a single row ends no calendar.
with

told as (
    select date, count(*) as stores from raw.sales group by date
),

compared as (
    select
        date,
        max(stores) over (
            order by date range between interval 6 days preceding and current row
        ) as most_stores,
        -- Eight weeks of delivered days: a chain that has shrunk is followed after four.
        median(stores) over (order by date rows between 56 preceding and 1 preceding)
            as usual_stores
    from told
)

select max(date) as last_day
from compared
where coalesce(most_stores >= 0.2 * usual_stores, true)
