-- One row a store and selling day: how the store has sold on days like this one, this day
-- included. Windows count occurrences, not days, so that a store back from half a year of
-- refurbishment still has its profile.
select
    store_id,
    date,
    weekday,
    is_promo,
    micro_log_sales,
    median(micro_log_sales) over (alike rows between 3 preceding and current row) as median_4,
    median(micro_log_sales) over (alike rows between 7 preceding and current row) as median_8,
    avg(micro_log_sales) over (alike rows between 12 preceding and current row) as mean_13,
    median(micro_log_sales) over last_26 as median_26,
    avg(micro_log_sales) over (alike rows between 51 preceding and current row) as mean_52,
    sqrt(greatest(
        avg(micro_log_sales * micro_log_sales) over last_26
        - (avg(micro_log_sales) over last_26) ** 2,
        0
    )) as deviation_26,
    count(*) over (alike rows between 51 preceding and current row) as occurrences,
    avg(micro_log_sales) over (alike rows between 13 preceding and 1 preceding) as prior_mean_13,
    avg(micro_log_sales) over (alike rows between 26 preceding and 1 preceding) as prior_mean_26,
    avg(micro_log_customers) over (alike rows between 12 preceding and current row)
        as customers_mean_13
from days
where micro_log_sales is not null
window
    alike as (partition by store_id, weekday, is_promo order by date),
    last_26 as (alike rows between 25 preceding and current row)
