-- One row a row of the delivered test.csv after the cutoff: a Kaggle submission.
select plan.id as "Id", latest.forecast as "Sales"
from raw.plan as plan
inner join forecasts.latest as latest using (store_id, date)
where plan.id is not null and latest.model = $model
order by plan.id
