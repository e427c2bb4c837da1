-- One row a model and row of features.future, or forecast of the newest cutoff that nothing asked
-- for.
with

best_days as (
    select store_id, max(sales) as best_sales from cleaned.sales group by store_id
),

asked as (
    select store_id, date, cutoff, is_open, unnest($models) as model from features.future
),

newest as (
    select *
    from forecasts.daily
    where cutoff = (select max(cutoff) from forecasts.daily)
)

select
    store_id,
    date,
    model,
    newest.cutoff,
    asked.cutoff as asked_cutoff,
    newest.lo_95,
    newest.lo_80,
    newest.forecast,
    newest.hi_80,
    newest.hi_95,
    case when not asked.is_open then newest.hi_95 end as hi_95_when_closed,
    newest.forecast / nullif(best_days.best_sales, 0) as times_best_day
from newest
full join asked using (store_id, date, model)
left join best_days using (store_id)
