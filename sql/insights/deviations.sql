-- One row a store and selling day: how far its sales and customers, in logs, are from the usual day
-- of that store with the same weekday and promotion, within 13 weeks either way. Usual are days on
-- which no state holiday lies within a week, outside December and the first week of January. A
-- residual is against all days of the store with that weekday and promotion, whenever they were.
with

selling_days as (
    select
        store_id,
        date,
        cast(isodow(date) as tinyint) as weekday,
        is_promo,
        state_holiday,
        is_school_holiday,
        ln(sales) as log_sales,
        case when customers > 0 then ln(customers) end as log_customers
    from cleaned.sales
    where is_open and sales > 0
),

holidays as (
    select distinct store_id, date from cleaned.sales where state_holiday <> 'none'
),

near_holidays as (
    select distinct
        store_id,
        cast(unnest(generate_series(date - interval 7 day, date + interval 7 day, interval 1 day))
            as date) as date
    from holidays
),

judged as (
    select
        selling_days.*,
        near_holidays.store_id is null
        and month(selling_days.date) <> 12
        and dayofyear(selling_days.date) > 7 as is_usual
    from selling_days
    left join near_holidays using (store_id, date)
),

compared as (
    select
        *,
        avg(log_sales) filter (where is_usual) over alike as usual_log_sales,
        avg(log_customers) filter (where is_usual) over alike as usual_log_customers,
        log_sales - avg(log_sales) over ever as sales_residual,
        log_customers - avg(log_customers) over ever as customers_residual
    from judged
    window
        ever as (partition by store_id, weekday, is_promo),
        alike as (
            partition by store_id, weekday, is_promo order by date
            range between interval 91 day preceding and interval 91 day following
        )
)

select
    *,
    log_sales - usual_log_sales as sales_deviation,
    log_customers - usual_log_customers as customers_deviation
from compared
order by store_id, date
