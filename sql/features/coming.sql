-- One row a target (cutoff, store, date) of the forecast: every planned day after the last day
-- whose sales are known.
select
    (select max(date) from cleaned.sales) as cutoff,
    store_id,
    date,
    false as is_training
from cleaned.plan
