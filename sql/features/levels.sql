-- One row a cutoff and store: how the store stood at the end of that day, over several horizons.
-- A surprise is a day's log sales against the days like it before it (features/profiles).
with

surprises as (
    select
        days.store_id,
        days.date,
        days.open_days_so_far,
        days.is_promo,
        days.micro_log_sales,
        days.micro_log_customers,
        days.micro_log_sales - days.micro_log_customers as micro_log_basket,
        cast(days.micro_log_sales - profiles.prior_mean_13 as bigint) as surprise_13,
        cast(days.micro_log_sales - profiles.prior_mean_26 as bigint) as surprise_26
    from days
    left join profiles using (store_id, date)
    where days.sales is not null
),

standings as (
    select
        store_id,
        date,
        open_days_so_far as open_days_at_cutoff,
        avg(micro_log_sales) over last_14 / 1e6 as level_14,
        avg(micro_log_sales) over last_28 / 1e6 as level_28,
        avg(micro_log_sales) over last_56 / 1e6 as level_56,
        avg(micro_log_sales) over last_98 / 1e6 as level_98,
        avg(micro_log_sales) over last_182 / 1e6 as level_182,
        avg(micro_log_sales) over last_364 / 1e6 as level_364,
        avg(micro_log_sales) over (days rows unbounded preceding) / 1e6 as level_ever,
        avg(micro_log_sales) over year_before / 1e6 as level_year_before,
        avg(micro_log_sales) over last_years_28 / 1e6 as last_years_level_28,
        avg(micro_log_sales) over last_years_56 / 1e6 as last_years_level_56,
        avg(surprise_13) over last_7 / 1e6 as surprise_13_last_7,
        avg(surprise_13) over last_14 / 1e6 as surprise_13_last_14,
        avg(surprise_13) over last_28 / 1e6 as surprise_13_last_28,
        avg(surprise_26) over last_14 / 1e6 as surprise_26_last_14,
        avg(surprise_26) over last_28 / 1e6 as surprise_26_last_28,
        avg(surprise_26) over last_56 / 1e6 as surprise_26_last_56,
        avg(abs(surprise_13)) over last_98 / 1e6 as volatility_98,
        avg(micro_log_customers) over last_28 / 1e6 as customers_28,
        avg(micro_log_customers) over last_182 / 1e6 as customers_182,
        avg(micro_log_basket) over last_28 / 1e6 as basket_28,
        avg(micro_log_basket) over last_182 / 1e6 as basket_182,
        count(*) filter (where is_promo) over last_14 as promo_days_14,
        avg(micro_log_sales) filter (where is_promo) over last_182 / 1e6 as promo_level_182,
        avg(micro_log_sales) filter (where not is_promo) over last_182 / 1e6 as usual_level_182
    from surprises
    window
        days as (partition by store_id order by date),
        last_7 as (days rows between 6 preceding and current row),
        last_14 as (days rows between 13 preceding and current row),
        last_28 as (days rows between 27 preceding and current row),
        last_56 as (days rows between 55 preceding and current row),
        last_98 as (days rows between 97 preceding and current row),
        last_182 as (days rows between 181 preceding and current row),
        last_364 as (days rows between 363 preceding and current row),
        year_before as (days rows between 727 preceding and 364 preceding),
        last_years_28 as (days rows between 391 preceding and 364 preceding),
        last_years_56 as (days rows between 419 preceding and 364 preceding)
)

select standings.* rename (date as cutoff)
from standings
where date in (select cutoff from targets)
