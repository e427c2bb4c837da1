-- One row a trial that was not pruned, of the study of each model that was worked on last; the
-- lowest mean RMSPE of the folds first.
select model, trial, value, is_best, seconds, parameters
from models.tuning
where is_latest and state = 'complete'
order by model, value, trial
