-- One row a store and day of cleaned.sales, with what its suite looks at.
select
    store_id,
    date,
    sales,
    customers,
    is_open,
    is_promo,
    state_holiday,
    case when not is_open then sales end as sales_when_closed,
    case when not is_open then customers end as customers_when_closed
from cleaned.sales
