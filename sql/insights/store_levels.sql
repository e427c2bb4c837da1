-- One row a store and measure (sales, customers, basket): its mean on an open day, and the mean of its
-- logs against what all stores had on the same dates. What stores of different kinds are compared by.
with

chain_days as (
    -- Few stores open on Sundays and holidays: they would be compared with each other alone.
    select date
    from cleaned.sales
    group by date
    having
        count(*) filter (where is_open and sales > 0)
        >= 0.5 * (select count(distinct store_id) from cleaned.sales where sales > 0)
),

selling_days as (
    select store_id, date, sales, case when customers > 0 then customers end as customers
    from cleaned.sales
    where is_open and sales > 0
),

compared_days as (
    -- Stores that were away for a season are compared with what the others did meanwhile.
    select
        store_id,
        ln(sales) - avg(ln(sales)) over same_day as sales,
        ln(customers) - avg(ln(customers)) over same_day as customers,
        ln(sales / customers) - avg(ln(sales / customers)) over same_day as basket
    from selling_days
    semi join chain_days using (date)
    window same_day as (partition by date)
),

relative_levels as (
    unpivot (
        select
            store_id,
            avg(sales) as sales,
            avg(customers) as customers,
            avg(basket) as basket
        from compared_days
        group by store_id
    )
    on sales, customers, basket
    into name measure value log_level
),

levels as (
    unpivot (
        select
            store_id,
            avg(sales) as sales,
            avg(customers) as customers,
            sum(sales) filter (where customers is not null) / sum(customers) as basket
        from selling_days
        group by store_id
    )
    on sales, customers, basket
    into name measure value level
)

select
    levels.store_id,
    stores.store_type,
    stores.assortment,
    levels.measure,
    levels.level,
    relative_levels.log_level
from levels
inner join cleaned.stores as stores using (store_id)
left join relative_levels using (store_id, measure)
order by levels.store_id, levels.measure
