-- One row a store: how it sells, whatever its size. Shares and lifts are relative; null where a store
-- has no such days. Stores are grouped by these traits.
with

selling_days as (
    select
        store_id,
        date,
        isodow(date) as weekday,
        is_promo,
        ln(sales) as log_sales,
        sales,
        customers
    from cleaned.sales
    where is_open and sales > 0
),

weekday_levels as (
    select
        store_id,
        weekday,
        avg(log_sales) filter (where not is_promo) as usual,
        avg(log_sales) filter (where is_promo) as in_promotion
    from selling_days
    group by store_id, weekday
),

weeks as (
    -- Tuesday to Thursday are what the other days are compared with.
    select
        store_id,
        max(usual) filter (where weekday = 1) - avg(usual) filter (where weekday in (2, 3, 4))
            as monday,
        max(usual) filter (where weekday = 6) - avg(usual) filter (where weekday in (2, 3, 4))
            as saturday,
        avg(in_promotion - usual) as promotion
    from weekday_levels
    group by store_id
),

sundays as (
    -- Of the weeks in which it sold. Files may leave closed days out.
    select
        store_id,
        avg(cast(is_open and sales > 0 as integer)) as sunday_share
    from cleaned.sales
    semi join (
        select distinct store_id, date_trunc('week', date) as week from selling_days
    ) as selling_weeks
        on
            selling_weeks.store_id = sales.store_id
            and selling_weeks.week = date_trunc('week', sales.date)
    where isodow(date) = 7
    group by store_id
),

christmases as (
    select store_id, avg(sales_deviation) as christmas
    from insights.deviations
    where month(date) = 12 and day(date) between 10 and 23
    group by store_id
),

years as (
    -- 52 weeks earlier it was the same weekday, and the same week of the promotions' rhythm of two.
    select days.store_id, avg(days.log_sales - earlier.log_sales) as growth
    from selling_days as days
    inner join selling_days as earlier
        on
            earlier.store_id = days.store_id
            and earlier.date = days.date - 364
            and earlier.is_promo = days.is_promo
    group by days.store_id
),

sizes as (
    select
        store_id,
        avg(sales) as mean_sales,
        sum(sales) filter (where customers > 0)
        / nullif(sum(customers) filter (where customers > 0), 0) as basket
    from selling_days
    group by store_id
)

select
    sizes.store_id,
    stores.store_type,
    sizes.mean_sales,
    exp(weeks.promotion) - 1 as promo_lift,
    exp(weeks.monday) - 1 as monday_lift,
    exp(weeks.saturday) - 1 as saturday_lift,
    sundays.sunday_share,
    exp(christmases.christmas) - 1 as christmas_lift,
    sizes.basket,
    exp(years.growth) - 1 as yearly_growth
from sizes
left join cleaned.stores as stores using (store_id)
left join weeks using (store_id)
left join sundays using (store_id)
left join christmases using (store_id)
left join years using (store_id)
order by sizes.store_id
