-- One row a coming open day whose explanation does not add up to the forecast, or is missing.
with

sums as (
    select store_id, date, sum(log_contribution) as log_parts
    from forecasts.explanation_parts
    group by store_id, date
),

told as (
    select
        store_id,
        date,
        explanations.forecast,
        exp(ln(explanations.usual_day) + sums.log_parts) as product
    from forecasts.explanations as explanations
    inner join sums using (store_id, date)
)

select
    latest.store_id,
    latest.date,
    latest.forecast,
    told.forecast as explained_forecast,
    told.product
from forecasts.latest as latest
inner join cleaned.plan as plan using (store_id, date)
left join told using (store_id, date)
where
    latest.model = 'lightgbm'
    and plan.is_open
    and (
        told.product is null
        or abs(told.product / latest.forecast - 1) > 1e-6
        or abs(told.forecast / latest.forecast - 1) > 1e-6
    )
order by latest.store_id, latest.date
