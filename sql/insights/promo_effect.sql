-- One row a slice (the chain, a weekday, a store type, an assortment) and its value: how much more
-- the same store sells on the same weekday with a promotion, in sales, customers and basket. Each
-- store counts once. The intervals are clustered by store and by four weeks (Cameron, Gelbach and
-- Miller, 2011): what all stores share is no evidence from each of them, and what lasts for weeks
-- cancels out between promotions and the weeks beside them.
with

days as (
    select
        store_id,
        (date - date '2000-01-03') // 28 as block,
        cast(isodow(date) as tinyint) as weekday,
        is_promo,
        ln(sales) as log_sales,
        case when customers > 0 then ln(customers) end as log_customers
    from cleaned.sales
    where is_open and sales > 0
),

sides as (
    select
        store_id,
        weekday,
        is_promo,
        avg(log_sales) as log_sales,
        avg(log_customers) as log_customers,
        avg(log_sales) filter (where log_customers is not null) as log_counted_sales,
        count(*) as sales_days,
        count(log_customers) as customers_days
    from days
    group by store_id, weekday, is_promo
),

cells as (
    select
        with_promo.store_id,
        with_promo.weekday,
        with_promo.log_sales - without.log_sales as sales_lift,
        with_promo.log_customers - without.log_customers as customers_lift,
        (with_promo.log_counted_sales - with_promo.log_customers)
        - (without.log_counted_sales - without.log_customers) as basket_lift
    from sides as with_promo
    inner join sides as without
        on
            without.store_id = with_promo.store_id
            and without.weekday = with_promo.weekday
            and not without.is_promo
    where with_promo.is_promo
),

-- How a day's surprise moves its cell's lift.
surprises as (
    select
        days.store_id,
        days.block,
        days.weekday,
        if(days.is_promo, 1, -1) * (days.log_sales - sides.log_sales) / sides.sales_days as sales,
        if(days.is_promo, 1, -1) * (days.log_customers - sides.log_customers)
        / sides.customers_days as customers,
        if(days.is_promo, 1, -1)
        * (
            days.log_sales - days.log_customers - sides.log_counted_sales + sides.log_customers
        ) / sides.customers_days as basket
    from days
    inner join sides using (store_id, weekday, is_promo)
    inner join cells using (store_id, weekday)
),

store_lifts as (
    select
        store_id,
        weekday,
        count(*) as cells,
        avg(sales_lift) as sales,
        avg(customers_lift) as customers,
        avg(basket_lift) as basket
    from cells
    group by grouping sets ((store_id), (store_id, weekday))
),

store_blocks as (
    select
        store_id,
        block,
        weekday,
        sum(sales) as sales,
        sum(customers) as customers,
        sum(basket) as basket
    from surprises
    group by grouping sets ((store_id, block), (store_id, block, weekday))
),

slices as (
    select store_id, null as weekday, 'all' as slice, 'all' as value from store_lifts
    union
    select store_id, weekday, 'weekday', cast(weekday as varchar) from cells
    union
    select store_id, null, 'store_type', store_type
    from cleaned.stores where store_type is not null
    union
    select store_id, null, 'assortment', assortment
    from cleaned.stores where assortment is not null
),

over_stores as (
    select
        slices.slice,
        slices.value,
        slices.weekday,
        count(*) as stores,
        count(lifts.customers) as counted_stores,
        avg(lifts.sales) as sales,
        avg(lifts.customers) as customers,
        avg(lifts.basket) as basket,
        var_samp(lifts.sales) / count(lifts.sales) as sales_variance,
        var_samp(lifts.customers) / count(lifts.customers) as customers_variance,
        var_samp(lifts.basket) / count(lifts.basket) as basket_variance
    from slices
    inner join store_lifts as lifts
        on
            lifts.store_id = slices.store_id
            and lifts.weekday is not distinct from slices.weekday
    group by slices.slice, slices.value, slices.weekday
),

-- Surprises of four weeks summed over stores, and the sum of their squares, which the variance over
-- stores holds already.
over_blocks as (
    select
        slices.slice,
        slices.value,
        slices.weekday,
        store_blocks.block,
        sum(store_blocks.sales / lifts.cells) as sales,
        sum(store_blocks.customers / lifts.cells) as customers,
        sum(store_blocks.basket / lifts.cells) as basket,
        sum((store_blocks.sales / lifts.cells) ** 2) as sales_alone,
        sum((store_blocks.customers / lifts.cells) ** 2) as customers_alone,
        sum((store_blocks.basket / lifts.cells) ** 2) as basket_alone
    from slices
    inner join store_lifts as lifts
        on
            lifts.store_id = slices.store_id
            and lifts.weekday is not distinct from slices.weekday
    inner join store_blocks
        on
            store_blocks.store_id = slices.store_id
            and store_blocks.weekday is not distinct from slices.weekday
    group by slices.slice, slices.value, slices.weekday, store_blocks.block
),

shared as (
    select
        slice,
        value,
        count(sales) as blocks,
        count(customers) as counted_blocks,
        greatest(sum(sales ** 2 - sales_alone), 0) * blocks / nullif(blocks - 1, 0)
            as sales_variance,
        greatest(sum(customers ** 2 - customers_alone), 0)
        * counted_blocks / nullif(counted_blocks - 1, 0) as customers_variance,
        greatest(sum(basket ** 2 - basket_alone), 0)
        * counted_blocks / nullif(counted_blocks - 1, 0) as basket_variance
    from over_blocks
    group by slice, value
),

estimates as (
    select
        over_stores.*,
        insights.sum_margin_95(
            over_stores.sales_variance, stores - 1,
            shared.sales_variance / stores ** 2, shared.blocks - 1
        ) as sales_margin,
        insights.sum_margin_95(
            over_stores.customers_variance, counted_stores - 1,
            shared.customers_variance / counted_stores ** 2, shared.counted_blocks - 1
        ) as customers_margin,
        insights.sum_margin_95(
            over_stores.basket_variance, counted_stores - 1,
            shared.basket_variance / counted_stores ** 2, shared.counted_blocks - 1
        ) as basket_margin
    from over_stores
    inner join shared using (slice, value)
)

select
    slice,
    value,
    weekday,
    stores,
    exp(sales) - 1 as sales_lift,
    exp(sales - sales_margin) - 1 as lift_lo_95,
    exp(sales + sales_margin) - 1 as lift_hi_95,
    counted_stores,
    exp(customers) - 1 as customer_lift,
    exp(customers - customers_margin) - 1 as customer_lo_95,
    exp(customers + customers_margin) - 1 as customer_hi_95,
    exp(basket) - 1 as basket_lift,
    exp(basket - basket_margin) - 1 as basket_lo_95,
    exp(basket + basket_margin) - 1 as basket_hi_95,
    customers / nullif(customers + basket, 0) as customer_share
from estimates
order by
    list_position(['all', 'weekday', 'store_type', 'assortment'], slice), value
