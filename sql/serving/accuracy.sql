-- One row a store: how well the ensemble forecast it in the backtest, beside the baseline. Each
-- window was combined and calibrated without itself.
with

judged as (
    select
        *,
        model = 'ensemble' as is_ensemble,
        forecast - sales as error,
        cast(sales between lo_80 and hi_80 as integer) as is_in_80,
        cast(sales between lo_95 and hi_95 as integer) as is_in_95
    from models.backtest
    where model in ('ensemble', 'baseline') and sales > 0
)

select
    store_id,
    count(*) filter (where is_ensemble) as days,
    count(distinct cutoff) as windows,
    sqrt(avg((error / sales) ** 2) filter (where is_ensemble)) as rmspe,
    sum(abs(error)) filter (where is_ensemble) / sum(sales) filter (where is_ensemble) as wape,
    sum(error) filter (where is_ensemble) / sum(sales) filter (where is_ensemble) as bias,
    avg(is_in_80) filter (where is_ensemble) as coverage_80,
    avg(is_in_95) filter (where is_ensemble) as coverage_95,
    sqrt(avg((error / sales) ** 2) filter (where not is_ensemble)) as baseline_rmspe
from judged
group by store_id
order by store_id
