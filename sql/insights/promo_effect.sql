-- One row a weekday: how much more the same store sells on that weekday when there is a promotion.
-- Each store's ratio counts once, so that large stores and weekdays do not stand in for promotions.
with

store_weekdays as (
    select
        store_id,
        isodow(date) as weekday,
        avg(ln(sales)) filter (where is_promo) - avg(ln(sales)) filter (where not is_promo)
            as log_lift,
        avg(ln(customers)) filter (where is_promo and customers > 0)
        - avg(ln(customers)) filter (where not is_promo and customers > 0) as log_customer_lift
    from cleaned.sales
    where is_open and sales > 0
    group by store_id, isodow(date)
)

select
    weekday,
    count(log_lift) as stores,
    exp(avg(log_lift)) - 1 as sales_lift,
    exp(avg(log_lift) - 1.96 * stddev_samp(log_lift) / sqrt(count(log_lift))) - 1 as lift_lo_95,
    exp(avg(log_lift) + 1.96 * stddev_samp(log_lift) / sqrt(count(log_lift))) - 1 as lift_hi_95,
    exp(avg(log_customer_lift)) - 1 as customer_lift,
    exp(avg(log_lift) - avg(log_customer_lift)) - 1 as basket_lift
from store_weekdays
where log_lift is not null
group by weekday
order by weekday
