-- One row a store and past day: log sales around that day. A target looks 364 days back, which
-- keeps the weekday and, with windows of at most 14 days each way, stays before the cutoff.
select
    store_id,
    date as past_date,
    micro_log_sales / 1e6 as log_sales,
    avg(micro_log_sales) over (days rows between 3 preceding and 3 following) / 1e6 as around_7,
    avg(micro_log_sales) over (days rows between 7 preceding and 6 following) / 1e6 as around_14,
    avg(micro_log_sales) over (days rows between 14 preceding and 13 following) / 1e6 as around_28
from days
where sales is not null
window days as (partition by store_id order by date)
