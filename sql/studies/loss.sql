-- One row a model, loss and point of its forecasts, over all backtest windows; the lowest RMSPE
-- first. log_bias and log_spread are mean and deviation of log forecast less log sales.
select model, loss, point, rmspe, wape, log_bias, log_spread, volume_error, factor, seconds
from models.loss_study
where cutoff is null
order by model desc, rmspe
