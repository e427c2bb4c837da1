-- One row a model: the chain's mean forecast of an open day at the newest cutoff, against what an
-- open day of the last eight weeks sold, and what one sold on the same weekdays a year before.
-- Null where the history does not reach back that far, or no store is to open; none forecast is 0.
with

coming as (
    select store_id, date, daily.model, daily.forecast, daily.cutoff, asked.is_open
    from forecasts.daily as daily
    left join features.future as asked using (store_id, date)
    where daily.cutoff = (select max(cutoff) from forecasts.daily)
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
    case
        when bool_or(coming.is_open)
            then coalesce(avg(coming.forecast) filter (where coming.is_open), 0)
    end as usual_forecast,
    usual_forecast / any_value(former.recent_sales) as times_recent,
    usual_forecast / any_value(former.last_years_sales) as times_last_year
from coming
cross join former
group by coming.model
order by coming.model
