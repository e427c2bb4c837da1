-- One row a group of features, over all backtest windows: how much the RMSPE rises without it, and
-- that difference's standard error over stores.
select feature_group, features, rmspe, rmspe_without, difference, standard_error, trees
from models.ablation
where cutoff is null
order by difference desc
