-- One row a store and coming day of cleaned.plan, with what its suite looks at.
with

cutoff as (
    select max(date) as cutoff from cleaned.sales
)

select
    plan.store_id,
    plan.date,
    plan.date - cutoff.cutoff as days_ahead,
    cast($horizon as bigint) as horizon,
    plan.is_open,
    plan.is_promo,
    plan.state_holiday,
    stores.store_id as known_store_id
from cleaned.plan as plan
cross join cutoff
left join cleaned.stores as stores using (store_id)
