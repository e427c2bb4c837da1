-- One row a model: what its intervals cover of the backtest, and the median of its errors.
select
    model,
    avg(cast(sales between lo_80 and hi_80 as integer)) as coverage_80,
    avg(cast(sales between lo_95 and hi_95 as integer)) as coverage_95,
    median(abs(forecast / sales - 1)) as median_error
from models.backtest
where sales > 0
group by model
order by model
