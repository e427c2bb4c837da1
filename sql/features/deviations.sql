-- One row a store and past selling day: how its log sales differ from the days like it around it,
-- eight weeks each way. Targets look back most of a year, so that those weeks are before the
-- cutoff. What recurs on a day of the year, or at a distance from Easter, shows here.
select
    store_id,
    date as past_date,
    (micro_log_sales - avg(micro_log_sales) over around) / 1e6 as deviation
from days
where micro_log_sales is not null
window
    around as (
        partition by store_id, weekday, is_promo
        order by date
        range between interval 56 days preceding and interval 56 days following
        exclude current row
    )
