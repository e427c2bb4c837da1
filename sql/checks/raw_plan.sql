-- One row a planned store day of raw.plan, with what its suite looks at.
select
    plan.store_id,
    plan.date,
    plan.load_id,
    plan.line,
    plan.is_open,
    plan.state_holiday,
    stores.store_id as known_store_id
from raw.plan as plan
left join raw.stores as stores using (store_id)
