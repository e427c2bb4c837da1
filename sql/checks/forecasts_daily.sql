-- One row a store, day and model of the newest cutoff, with what its suite looks at.
with

best_days as (
    select store_id, max(sales) as best_sales from cleaned.sales group by store_id
),

newest as (
    select *
    from forecasts.daily
    where cutoff = (select max(cutoff) from forecasts.daily)
)

select
    newest.store_id,
    newest.date,
    newest.model,
    newest.lo_95,
    newest.lo_80,
    newest.forecast,
    newest.hi_80,
    newest.hi_95,
    case when not plan.is_open then newest.hi_95 end as hi_95_when_closed,
    newest.forecast / nullif(best_days.best_sales, 0) as share_of_best_day
from newest
left join cleaned.plan as plan using (store_id, date)
left join best_days using (store_id)
