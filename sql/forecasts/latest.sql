-- One row a store, coming day and model: the forecasts of the newest cutoff.
select *
from forecasts.daily
where cutoff = (select max(cutoff) from forecasts.daily)
order by store_id, date, model
