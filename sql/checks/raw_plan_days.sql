-- One row a day of the $horizon days after the calendar's $last_day: the share of the stores with sales in
-- the newest four weeks that the delivered plan speaks of. No row where no plan was ever delivered.
with

newest as (
    select cast($last_day as date) as newest_day
),

days as (
    select cast(newest_day + cast(day as integer) as date) as date
    from newest
    cross join generate_series(1, cast($horizon as integer)) as coming(day)
    where exists (select 1 from raw.plan)
),

selling as (
    select distinct store_id
    from raw.sales
    cross join newest
    where sales > 0 and date > newest_day - 28 and date <= newest_day
)

select days.date, count(plan.store_id) / count(*) as share_planned
from days
cross join selling
left join raw.plan as plan using (store_id, date)
group by days.date
order by days.date
