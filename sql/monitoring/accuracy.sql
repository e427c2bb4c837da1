-- One row a model and slice of what was forecast at past cutoffs and has come true since: its error
-- and the coverage of its intervals over the days that were planned open and sold something. Slices
-- are the cutoff, the horizon week and the store type; an empty key means all of them. Counted, and
-- in no score, are days forecast as closed that sold all the same (unplanned_days: the plan erred,
-- not the model), days forecast as open that report no sales (unsold_days), and days forecast as
-- open of which no file speaks yet (missing_days). Days of stores that had sold nothing by the cutoff
-- are judged apart (new_store_days and so on): the backtest, beside which the others are held, has
-- none, and one store's level that nobody knew outweighs a hundred others. Made anew each time, so
-- that corrections count.
with

openings as (
    select store_id, min(date) as first_selling_day
    from cleaned.sales
    where is_open and sales > 0
    group by store_id
),

realised as (
    select
        daily.model,
        daily.cutoff,
        (daily.h - 1) // 7 + 1 as horizon_week,
        stores.store_type,
        sales.date,
        sales.sales,
        daily.forecast,
        coalesce(openings.first_selling_day > daily.cutoff, true) as is_new,
        daily.forecast > 0 as is_planned,
        not sales.is_absent as is_reported,
        sales.is_open and sales.sales > 0 as is_selling,
        sales.sales between daily.lo_80 and daily.hi_80 as is_in_80,
        sales.sales between daily.lo_95 and daily.hi_95 as is_in_95
    from forecasts.daily as daily
    inner join cleaned.sales as sales using (store_id, date)
    inner join cleaned.stores as stores using (store_id)
    left join openings using (store_id)
),

judged as (
    -- Sums of whole numbers: threads add fractions in varying order, and the last bit would differ.
    -- An absurd value is cut where it would no longer fit.
    select
        model,
        cutoff,
        horizon_week,
        store_type,
        date,
        is_planned and is_selling and not is_new as is_judged,
        is_planned and is_selling and is_new as is_judged_apart,
        cast(least(1e6 * sales, 1e30) as hugeint) as sales_millionths,
        case when sales > 0
            then cast(least(1e9 * ((sales - forecast) / sales) ** 2, 1e30) as hugeint)
        end as squared_billionths,
        cast(1e6 * forecast as hugeint) as forecast_millionths,
        cast(least(1e6 * abs(sales - forecast), 1e30) as hugeint) as error_millionths,
        cast(is_in_80 as integer) as is_in_80,
        cast(is_in_95 as integer) as is_in_95,
        is_selling and not is_planned as is_unplanned,
        is_planned and is_reported and not is_selling as is_unsold,
        is_planned and not is_reported as is_missing
    from realised
)

select
    model,
    cutoff,
    cast(horizon_week as integer) as horizon_week,
    store_type,
    min(date) filter (where is_judged) as first_day,
    max(date) filter (where is_judged) as last_day,
    count(*) filter (where is_judged) as days,
    sqrt(avg(squared_billionths) filter (where is_judged) / 1e9) as rmspe,
    sum(error_millionths) filter (where is_judged)
    / sum(sales_millionths) filter (where is_judged) as wape,
    sum(forecast_millionths) filter (where is_judged)
    / sum(sales_millionths) filter (where is_judged) - 1 as bias,
    avg(is_in_80) filter (where is_judged) as coverage_80,
    avg(is_in_95) filter (where is_judged) as coverage_95,
    count(*) filter (where is_unplanned) as unplanned_days,
    count(*) filter (where is_unsold) as unsold_days,
    count(*) filter (where is_missing) as missing_days,
    count(*) filter (where is_judged_apart) as new_store_days,
    sqrt(avg(squared_billionths) filter (where is_judged_apart) / 1e9) as new_store_rmspe,
    avg(is_in_80) filter (where is_judged_apart) as new_store_coverage_80,
    avg(is_in_95) filter (where is_judged_apart) as new_store_coverage_95
from judged
group by
    grouping sets (
        (model),
        (model, cutoff),
        (model, horizon_week),
        (model, store_type),
        (model, cutoff, horizon_week),
        (model, cutoff, store_type)
    )
having
    count(*) filter (
        where is_judged or is_judged_apart or is_unplanned or is_unsold or is_missing
    ) > 0
order by model, cutoff nulls first, horizon_week nulls first, store_type nulls first
