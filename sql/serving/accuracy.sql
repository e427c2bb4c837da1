-- One row a store: how well the ensemble forecast it in the backtest, beside the baseline. Each
-- window was combined and calibrated without itself.
with

judged as (
    -- Sums of whole numbers: threads add fractions in varying order, and the last bit would differ.
    -- An absurd value is cut where it would no longer fit.
    select
        store_id,
        cutoff,
        model = 'ensemble' as is_ensemble,
        cast(least(1e9 * ((forecast - sales) / sales) ** 2, 1e30) as hugeint)
            as squared_billionths,
        cast(greatest(1e6 * (forecast - sales), -1e30) as hugeint) as error_millionths,
        cast(least(1e6 * sales, 1e30) as hugeint) as sales_millionths,
        cast(sales between lo_80 and hi_80 as integer) as is_in_80,
        cast(sales between lo_95 and hi_95 as integer) as is_in_95
    from models.backtest
    where model in ('ensemble', 'baseline') and sales > 0
)

select
    store_id,
    count(*) filter (where is_ensemble) as days,
    count(distinct cutoff) as windows,
    sqrt(avg(squared_billionths) filter (where is_ensemble) / 1e9) as rmspe,
    sum(abs(error_millionths)) filter (where is_ensemble)
    / sum(sales_millionths) filter (where is_ensemble) as wape,
    sum(error_millionths) filter (where is_ensemble)
    / sum(sales_millionths) filter (where is_ensemble) as bias,
    avg(is_in_80) filter (where is_ensemble) as coverage_80,
    avg(is_in_95) filter (where is_ensemble) as coverage_95,
    sqrt(avg(squared_billionths) filter (where not is_ensemble) / 1e9) as baseline_rmspe
from judged
group by store_id
order by store_id
