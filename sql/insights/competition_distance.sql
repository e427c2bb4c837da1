-- One row a band of distances to the nearest competitor: sales of open days against the mean of all
-- stores of the same type and assortment; and one row a slope: what twice the distance changes among
-- stores of one kind, for all stores, the nearer and the farther half. Stores count once each.
with

selling_days as (
    select
        store_id,
        ln(sales) as log_sales,
        case when customers > 0 then ln(customers) end as log_customers
    from cleaned.sales
    where is_open and sales > 0
),

levels as (
    select
        store_id,
        avg(log_sales) as log_sales,
        avg(log_customers) as log_customers,
        avg(log_sales - log_customers) as log_basket
    from selling_days
    group by store_id
),

placed as (
    select
        levels.*,
        stores.store_type,
        stores.assortment,
        stores.competition_distance_m as distance_m,
        count(*) over alike as alike,
        levels.log_sales - avg(levels.log_sales) over alike as sales_effect,
        levels.log_customers - avg(levels.log_customers) over alike as customers_effect,
        levels.log_basket - avg(levels.log_basket) over alike as basket_effect
    from levels
    inner join cleaned.stores as stores using (store_id)
    where stores.competition_distance_m is not null
    window alike as (partition by stores.store_type, stores.assortment)
),

compared as (
    -- A store that is the only one of its kind has nothing to be compared with.
    select
        *,
        log2(greatest(distance_m, 10)) as doublings,
        distance_m <= median(distance_m) over () as is_near
    from placed
    where alike > 1
),

bands as (
    select
        unnest([0, 250, 1000, 3000, 10000]) as from_m,
        unnest([250, 1000, 3000, 10000, null]) as to_m,
        unnest(['under 250 m', '250 m to 1 km', '1 to 3 km', '3 to 10 km', 'over 10 km']) as value
),

banded as (
    select
        'distance' as slice,
        bands.value,
        bands.from_m,
        bands.to_m,
        count(*) as stores,
        median(compared.distance_m) as median_distance_m,
        exp(avg(compared.log_sales)) as typical_sales,
        avg(compared.sales_effect) as effect,
        insights.margin_95(compared.sales_effect) as margin,
        avg(compared.customers_effect) as customers_effect,
        avg(compared.basket_effect) as basket_effect
    from compared
    inner join bands
        on
            compared.distance_m >= bands.from_m
            and (bands.to_m is null or compared.distance_m < bands.to_m)
    group by bands.value, bands.from_m, bands.to_m
),

halves as (
    select 'all stores' as value, 1 as place, * from compared
    union all by name
    select 'nearer half' as value, 2 as place, * from compared where is_near
    union all by name
    select 'farther half' as value, 3 as place, * from compared where not is_near
),

within_kinds as (
    -- Distance, too, is against that of stores of the same kind, or kinds that lie far out would
    -- flatten the slope; for customers and baskets, of those where customers were counted.
    select
        value,
        place,
        distance_m,
        log_sales as level,
        store_type,
        assortment,
        doublings - avg(doublings) over alike as doublings,
        doublings - avg(doublings) filter (where log_customers is not null) over alike
            as counted_doublings,
        log_sales - avg(log_sales) over alike as sales,
        log_customers - avg(log_customers) over alike as customers,
        log_basket - avg(log_basket) over alike as basket
    from halves
    window alike as (partition by value, store_type, assortment)
),

slopes as (
    -- The standard error of a least-squares slope beside a mean of each kind.
    select
        'twice the distance' as slice,
        value,
        place as from_m,
        count(*) as stores,
        median(distance_m) as median_distance_m,
        exp(avg(level)) as typical_sales,
        regr_slope(sales, doublings) as effect,
        count(*) - count(distinct (store_type, assortment)) - 1 as freedom,
        insights.t_95(freedom)
        * sqrt(greatest(1 - regr_r2(sales, doublings), 0) / freedom)
        * stddev_pop(sales) / nullif(stddev_pop(doublings), 0) as margin,
        regr_slope(customers, counted_doublings) as customers_effect,
        regr_slope(basket, counted_doublings) as basket_effect
    from within_kinds
    group by value, place
    having freedom > 0
),

measured as (
    select 1 as part, * from banded
    union all by name
    select 2 as part, * from slopes
)

select
    slice,
    value,
    case when part = 1 then from_m end as from_m,
    to_m,
    stores,
    median_distance_m,
    typical_sales,
    exp(effect) - 1 as effect,
    exp(effect - margin) - 1 as effect_lo_95,
    exp(effect + margin) - 1 as effect_hi_95,
    exp(customers_effect) - 1 as customers_effect,
    exp(basket_effect) - 1 as basket_effect
from measured
order by part, measured.from_m
