-- One row a model and feature, the 15 of each whose permutation raises the RMSPE most.
select
    model,
    feature,
    feature_group,
    split_share,
    permutation,
    permutation_error,
    group_permutation
from models.importance
qualify row_number() over (partition by model order by permutation desc, feature) <= 15
order by model, permutation desc, feature
