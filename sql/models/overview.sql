-- One row a model: its scores over all backtest windows, the best first; gain is how much lower
-- its RMSPE is than the baseline's.
select
    model,
    rmspe,
    mape,
    coverage_80,
    coverage_95,
    1 - rmspe / max(rmspe) filter (where model = 'baseline') over () as gain
from models.scores
where cutoff is null and horizon_week is null and store_type is null
order by rmspe
