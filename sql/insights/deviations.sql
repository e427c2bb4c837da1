-- One row a store and selling day: how far its sales and customers, in logs, are from the usual day
-- of that store with the same weekday and promotion, within 13 weeks either way; the day itself is
-- no part of what it is compared with. A day is usual if no state holiday lies within a week of it,
-- outside December and the first week of January. A residual is against all days of the store with
-- that weekday and promotion, whenever they were.
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
        if(is_usual, log_sales, null) as own_log_sales,
        if(is_usual, log_customers, null) as own_log_customers,
        sum(log_sales) filter (where is_usual) over alike as all_log_sales,
        count(log_sales) filter (where is_usual) over alike as all_days,
        sum(log_customers) filter (where is_usual) over alike as all_log_customers,
        count(log_customers) filter (where is_usual) over alike as all_counted_days,
        log_sales - avg(log_sales) over ever as sales_residual,
        log_customers - avg(log_customers) over ever as customers_residual
    from judged
    window
        ever as (partition by store_id, weekday, is_promo),
        alike as (
            partition by store_id, weekday, is_promo order by date
            range between interval 91 day preceding and interval 91 day following
        )
),

others as (
    select
        *,
        (all_log_sales - coalesce(own_log_sales, 0))
        / nullif(all_days - cast(own_log_sales is not null as integer), 0) as usual_log_sales,
        (all_log_customers - coalesce(own_log_customers, 0))
        / nullif(all_counted_days - cast(own_log_customers is not null as integer), 0)
            as usual_log_customers
    from compared
)

select
    store_id,
    date,
    weekday,
    is_promo,
    state_holiday,
    is_school_holiday,
    is_usual,
    log_sales,
    log_customers,
    usual_log_sales,
    usual_log_customers,
    log_sales - usual_log_sales as sales_deviation,
    log_customers - usual_log_customers as customers_deviation,
    sales_residual,
    customers_residual
from others
order by store_id, date
