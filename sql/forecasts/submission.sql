-- One row a row of the test.csv that came last, after the cutoff: a Kaggle submission.
select plan.id as "Id", latest.forecast as "Sales"
from raw.plan as plan
inner join forecasts.latest as latest using (store_id, date)
where
    plan.id is not null and latest.model = $model
    and plan.load_id = (select max(load_id) from raw.plan where id is not null)
order by plan.id
