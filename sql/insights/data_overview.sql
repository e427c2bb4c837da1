-- One row: what the warehouse holds of the past, and what had to be repaired.
select
    count(distinct store_id) as stores,
    min(date) as first_day,
    max(date) as last_day,
    count(*) as store_days,
    count(*) filter (where is_open) as open_days,
    count(*) filter (where is_absent) as absent_days,
    count(*) filter (where is_open_inferred) as inferred_openings,
    count(*) filter (where is_open_corrected) as corrected_openings,
    count(*) filter (where is_outlier) as outlier_days,
    (select count(*) from quality.quarantine) as quarantined_rows,
    sum(sales) as total_sales
from cleaned.sales
