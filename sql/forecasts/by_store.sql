-- One row a store and coming day: the forecast of one model with its bounds.
select store_id, date, h, forecast, lo_80, hi_80, lo_95, hi_95, cutoff, version
from forecasts.latest
where model = $model and ($store is null or store_id = $store)
order by store_id, date
