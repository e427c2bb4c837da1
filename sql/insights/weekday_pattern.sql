-- One row a weekday (1 is Monday): what an open day sells against the mean weekday, Monday to
-- Saturday, of the same store; with and without promotions, which run on some weekdays only. Each
-- store counts once, so that large ones do not stand in for weekdays.
with

selling_days as (
    select
        store_id,
        cast(isodow(date) as tinyint) as weekday,
        is_promo,
        sales,
        customers,
        ln(sales) as log_sales,
        case when customers > 0 then ln(customers) end as log_customers
    from cleaned.sales
    where is_open and sales > 0
),

store_weekdays as (
    select
        store_id,
        weekday,
        count(*) as open_days,
        avg(sales) as mean_sales,
        avg(log_sales) as log_sales,
        avg(log_sales) filter (where not is_promo) as log_sales_without_promo,
        avg(log_customers) as log_customers,
        avg(log_sales) filter (where log_customers is not null) - avg(log_customers) as log_basket
    from selling_days
    group by store_id, weekday
),

compared as (
    select
        store_id,
        weekday,
        open_days,
        mean_sales,
        log_sales - avg(log_sales) filter (where weekday < 7) over store as sales,
        log_sales_without_promo
        - avg(log_sales_without_promo) filter (where weekday < 7) over store as sales_without_promo,
        log_customers - avg(log_customers) filter (where weekday < 7) over store as customers,
        log_basket - avg(log_basket) filter (where weekday < 7) over store as basket
    from store_weekdays
    window store as (partition by store_id)
)

select
    weekday,
    count(*) as stores,
    sum(open_days) as open_days,
    avg(mean_sales) as mean_sales,
    exp(avg(sales)) - 1 as sales_effect,
    exp(avg(sales) - insights.margin_95(sales)) - 1 as sales_lo_95,
    exp(avg(sales) + insights.margin_95(sales)) - 1 as sales_hi_95,
    exp(avg(sales_without_promo)) - 1 as without_promo_effect,
    exp(avg(sales_without_promo) - insights.margin_95(sales_without_promo)) - 1
        as without_promo_lo_95,
    exp(avg(sales_without_promo) + insights.margin_95(sales_without_promo)) - 1
        as without_promo_hi_95,
    exp(avg(customers)) - 1 as customers_effect,
    exp(avg(customers) - insights.margin_95(customers)) - 1 as customers_lo_95,
    exp(avg(customers) + insights.margin_95(customers)) - 1 as customers_hi_95,
    exp(avg(basket)) - 1 as basket_effect,
    exp(avg(basket) - insights.margin_95(basket)) - 1 as basket_lo_95,
    exp(avg(basket) + insights.margin_95(basket)) - 1 as basket_hi_95
from compared
where sales is not null
group by weekday
order by weekday
