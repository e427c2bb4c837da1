-- One row a store, coming open day and part of its explanation: what the part adds to the log of
-- the forecast of `lightgbm`, and by how many percent it changes it. The parts of a day, times the
-- store's usual day, make the forecast.
select
    cutoff,
    store_id,
    date,
    part,
    log_contribution,
    100 * (exp(log_contribution) - 1) as percent
from (
    unpivot forecasts.explanations
    on columns(* exclude (cutoff, store_id, date, version, forecast, usual_day, explanation))
    into name part value log_contribution
)
