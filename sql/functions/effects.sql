-- One row a key of a table's days (key, store_id, occasion, and sales and customers in logs): their
-- mean effects, in which each store counts once. Intervals are clustered by store and by occasion
-- (Cameron, Gelbach and Miller, 2011): what all stores share on an occasion is no evidence from each
-- of them. Student's t has one degree of freedom less than there are stores or occasions, whichever
-- are fewer; what one store sold, or was sold on one occasion, has no interval. None is narrower than
-- over stores alone.
create or replace macro insights.effects(table_name) as table
with

-- Keys are structs, which are slow to group and join by.
numbered as (
    select key, row_number() over () as number
    from (select distinct key from query_table(table_name))
),

cells as (
    select
        numbered.number,
        days.store_id,
        days.occasion,
        count(*) as days,
        count(days.sales) as sales_days,
        count(days.customers) as customers_days,
        sum(days.sales) as sales,
        sum(days.customers) as customers
    from query_table(table_name) as days
    inner join numbered using (key)
    group by numbered.number, days.store_id, days.occasion
),

store_effects as (
    select
        number,
        store_id,
        sum(days) as days,
        sum(sales_days) as sales_days,
        sum(customers_days) as customers_days,
        sum(sales) / sum(sales_days) as sales,
        sum(customers) / sum(customers_days) as customers
    from cells
    group by number, store_id
),

over_stores as (
    select
        number,
        count(sales) as stores,
        count(customers) as counted_stores,
        sum(days) as days,
        avg(sales) as sales,
        avg(customers) as customers,
        var_samp(sales) / count(sales) as sales_variance,
        var_samp(customers) / count(customers) as customers_variance
    from store_effects
    group by number
),

-- How far a store's days of an occasion move the mean.
moves as (
    select
        cells.number,
        cells.occasion,
        (cells.sales - cells.sales_days * over_stores.sales)
        / (store_effects.sales_days * over_stores.stores) as sales,
        (cells.customers - cells.customers_days * over_stores.customers)
        / (store_effects.customers_days * over_stores.counted_stores) as customers
    from cells
    inner join store_effects using (number, store_id)
    inner join over_stores using (number)
),

-- Sums over stores, and sums of their squares, which the variance over stores holds already.
over_occasions as (
    select
        number,
        sum(sales) as sales,
        sum(customers) as customers,
        sum(sales ** 2) as sales_alone,
        sum(customers ** 2) as customers_alone
    from moves
    group by number, occasion
),

shared as (
    select
        number,
        count(sales) as occasions,
        count(customers) as counted_occasions,
        greatest(
            sum(sales ** 2) * occasions / nullif(occasions - 1, 0) - sum(sales_alone), 0
        ) as sales_variance,
        greatest(
            sum(customers ** 2) * counted_occasions / nullif(counted_occasions - 1, 0)
            - sum(customers_alone), 0
        ) as customers_variance
    from over_occasions
    group by number
),

estimates as (
    select
        numbered.key,
        over_stores.stores,
        shared.occasions,
        over_stores.days,
        over_stores.sales,
        over_stores.customers,
        insights.t_95(least(stores, occasions) - 1)
        * sqrt(over_stores.sales_variance + shared.sales_variance) as sales_margin,
        insights.t_95(least(counted_stores, counted_occasions) - 1)
        * sqrt(over_stores.customers_variance + shared.customers_variance) as customers_margin
    from over_stores
    inner join shared using (number)
    inner join numbered using (number)
)

select
    key,
    stores,
    occasions,
    days,
    exp(sales) - 1 as sales_effect,
    exp(sales - sales_margin) - 1 as sales_lo_95,
    exp(sales + sales_margin) - 1 as sales_hi_95,
    exp(customers) - 1 as customers_effect,
    exp(customers - customers_margin) - 1 as customers_lo_95,
    exp(customers + customers_margin) - 1 as customers_hi_95
from estimates
