-- One row: how many rows the test.csv that came last asks for after the cutoff, and how many of
-- them have no forecast.
with

answers as (
    select distinct store_id, date, cutoff from forecasts.latest
),

span as (
    select max(cutoff) as cutoff, max(date) as last_day from answers
)

select
    count(*) as asked,
    max(plan.date) as last_asked,
    count(*) filter (where answers.store_id is null) as unanswered,
    any_value(span.last_day) as last_day
from raw.plan as plan
cross join span
left join answers using (store_id, date)
where
    plan.id is not null and plan.date > span.cutoff
    and plan.load_id = (select max(load_id) from raw.plan where id is not null)
