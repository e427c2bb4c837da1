-- One row a model and store of the newest cutoff: its mean forecast of an open day, against its
-- mean sales of the last 182 days on which it sold. Null for a store that has sold on fewer than 28.
with

selling_days as (
    select
        store_id,
        sales,
        row_number() over (partition by store_id order by date desc) as place
    from cleaned.sales
    where sales > 0
),

history as (
    select store_id, avg(sales) as usual_sales
    from selling_days
    where place <= 182
    group by store_id
    having count(*) >= 28
),

coming as (
    select store_id, model, avg(forecast) as usual_forecast
    from forecasts.daily
    where cutoff = (select max(cutoff) from forecasts.daily) and forecast > 0
    group by store_id, model
)

select
    coming.store_id,
    coming.model,
    coming.usual_forecast,
    history.usual_sales,
    coming.usual_forecast / history.usual_sales as times_history
from coming
left join history using (store_id)
