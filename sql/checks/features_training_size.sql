-- One row: how much there is to learn from.
select
    count(*) filter (where is_training) as training_rows,
    count(log_sales) / nullif(count(*), 0) as labelled_share
from features.training
