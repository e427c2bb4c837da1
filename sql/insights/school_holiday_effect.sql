-- One row a slice of the days (all of them, one weekday, one season): what stores sell in school
-- holidays against stores of the same type that have none on the same date. Each store is measured
-- by its own usual day, outside weeks with state holidays. Intervals are over stores and weeks
-- (Cameron, Gelbach and Miller, 2011): what a region's stores share lasts for days.
with

days as (
    select
        days.store_id,
        days.date,
        days.weekday,
        case
            when month(days.date) in (12, 1, 2) then 'winter'
            when month(days.date) in (3, 4, 5) then 'spring'
            when month(days.date) in (6, 7, 8) then 'summer'
            else 'autumn'
        end as season,
        stores.store_type,
        days.is_school_holiday,
        days.sales_deviation,
        days.customers_deviation
    from insights.deviations as days
    inner join cleaned.stores as stores using (store_id)
    where days.is_usual and days.sales_deviation is not null
),

at_school as (
    select
        date,
        store_type,
        avg(sales_deviation) as sales_deviation,
        avg(customers_deviation) as customers_deviation
    from days
    where not is_school_holiday
    group by date, store_type
),

compared as (
    select
        days.store_id,
        days.date,
        days.weekday,
        days.season,
        days.sales_deviation - at_school.sales_deviation as sales,
        days.customers_deviation - at_school.customers_deviation as customers
    from days
    inner join at_school using (date, store_type)
    where days.is_school_holiday
),

slices as (
    select 1 as part, 'all' as slice, 'all' as value, 1 as place, * from compared
    union all
    select 2, 'weekday', dayname(date), weekday, * from compared
    union all
    select 3, 'season', season, list_position(['winter', 'spring', 'summer', 'autumn'], season), *
    from compared
),

keyed as (
    select
        {'part': part, 'place': place, 'slice': slice, 'value': value} as key,
        store_id,
        date_trunc('week', date) as occasion,
        sales,
        customers
    from slices
)

select
    key.slice,
    key.value,
    stores,
    occasions,
    days,
    sales_effect,
    sales_lo_95,
    sales_hi_95,
    customers_effect,
    customers_lo_95,
    customers_hi_95
from insights.effects('keyed')
order by key.part, key.place
