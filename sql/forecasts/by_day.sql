-- One row a coming day: what the chain is forecast to sell, by the ensemble.
select
    date,
    dayname(date) as weekday,
    count(*) filter (where forecast > 0) as open_stores,
    sum(forecast) as forecast
from forecasts.latest
where model = $model
group by date
order by date
