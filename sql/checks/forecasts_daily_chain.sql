-- One row a model: the chain's mean forecast of an open day at the newest cutoff, against what an
-- open day of the last eight weeks sold, and what one sold on the same weekdays a year before.
-- Null where the history does not reach back that far.
with

coming as (
    select store_id, date, model, forecast, cutoff
    from forecasts.daily
    where cutoff = (select max(cutoff) from forecasts.daily)
),

span as (
    select min(date) as first_day, max(date) as last_day, any_value(cutoff) as cutoff from coming
),

former as (
    select
        avg(sales.sales) filter (where sales.date > span.cutoff - 56) as recent_sales,
        avg(sales.sales) filter (
            where sales.date between span.first_day - 364 and span.last_day - 364
        ) as last_years_sales
    from cleaned.sales as sales
    cross join span
    where sales.sales > 0
)

select
    coming.model,
    avg(coming.forecast) filter (where coming.forecast > 0) as usual_forecast,
    usual_forecast / any_value(former.recent_sales) as times_recent,
    usual_forecast / any_value(former.last_years_sales) as times_last_year
from coming
cross join former
group by coming.model
order by coming.model
