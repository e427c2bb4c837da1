-- One row a store and coming open day: the forecast of `lightgbm`, and why it is what it is.
select store_id, date, dayname(date) as weekday, forecast, explanation
from forecasts.explanations
where $store is null or store_id = $store
order by store_id, date
