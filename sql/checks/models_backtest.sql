-- One row a model, cutoff and store: whether each selling day of its window was forecast, and how
-- many of its rows are not in order.
with

cutoffs as (
    select distinct cutoff from models.backtest
),

asked as (
    select cutoff, store_id, count(log_sales) as selling_days
    from features.training
    semi join cutoffs using (cutoff)
    group by cutoff, store_id
    having count(log_sales) > 0
),

grid as (
    select unnest($models) as model, cutoff, store_id, selling_days from asked
),

forecast as (
    select
        model,
        cutoff,
        store_id,
        count(distinct date) as forecast_days,
        count(*) - count(distinct date) as repeated_days,
        count(*) filter (
            where not coalesce(isfinite(forecast + lo_80 + hi_80 + lo_95 + hi_95 + sales), false)
        ) as unknown_days,
        count(*) filter (
            where not (0 <= lo_95 and lo_95 <= lo_80 and lo_80 <= hi_80 and hi_80 <= hi_95)
        ) as disordered_days,
        count(*) filter (
            where cast(date as date) - cast(cutoff as date) <> h or h not between 1 and cast($horizon as integer)
        ) as misplaced_days
    from models.backtest
    group by model, cutoff, store_id
)

select
    model,
    cutoff,
    store_id,
    coalesce(grid.selling_days, 0) as selling_days,
    coalesce(forecast.forecast_days, 0) as forecast_days,
    forecast.repeated_days,
    forecast.unknown_days,
    forecast.disordered_days,
    forecast.misplaced_days
from grid
full join forecast using (model, cutoff, store_id)
