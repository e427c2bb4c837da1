-- One row a slice of the selling days (the chain, a store type, a store): how closely sales follow
-- customers, and what a customer spends. Bounds of the correlation are over stores (a store has
-- none): Fisher's z with the standard error of a jackknife that leaves out one store at a time.
with

counted_days as (
    select store_id, sales, customers
    from cleaned.sales
    where is_open and sales > 0 and customers > 0
),

stores as (
    select store_id, stores.store_type
    from (select distinct store_id from counted_days)
    left join cleaned.stores as stores using (store_id)
),

named_slices as (
    select 'chain' as slice, 'all' as value, store_id from stores
    union all
    select 'store type' as slice, store_type as value, store_id from stores
    where store_type is not null
    union all
    select 'store' as slice, cast(store_id as varchar) as value, store_id from stores
),

slices as (
    -- A number is quicker to group and join by than two names.
    select *, cast(dense_rank() over (order by slice, value) as integer) as slice_no
    from named_slices
),

sliced_days as (
    select slices.slice_no, days.store_id, days.sales, days.customers
    from counted_days as days
    inner join slices using (store_id)
),

-- Days of equal sales share the mean of their ranks, and so do days of equal customers.
sales_ranks as (
    select
        slice_no,
        sales,
        sum(count(*)) over (partition by slice_no order by sales) - (count(*) - 1) / 2
            as sales_rank
    from sliced_days
    group by slice_no, sales
),

customer_ranks as (
    select
        slice_no,
        customers,
        sum(count(*)) over (partition by slice_no order by customers) - (count(*) - 1) / 2
            as customers_rank
    from sliced_days
    group by slice_no, customers
),

ranked as (
    select slice_no, corr(sales_ranks.sales_rank, customer_ranks.customers_rank) as spearman
    from sliced_days
    inner join sales_ranks using (slice_no, sales)
    inner join customer_ranks using (slice_no, customers)
    group by slice_no
),

-- What a slice's correlation would be without one of its stores, from centred sums.
centred_sums as (
    select
        days.slice_no,
        days.store_id,
        count(*) as n,
        sum(days.sales - means.sales) as x,
        sum(days.customers - means.customers) as y,
        sum((days.sales - means.sales) ** 2) as xx,
        sum((days.customers - means.customers) ** 2) as yy,
        sum((days.sales - means.sales) * (days.customers - means.customers)) as xy
    from sliced_days as days
    cross join (
        select avg(sales) as sales, avg(customers) as customers from counted_days
    ) as means
    group by days.slice_no, days.store_id
),

sums_of_others as (
    select
        slice_no,
        sum(n) over in_slice - n as n,
        sum(x) over in_slice - x as x,
        sum(y) over in_slice - y as y,
        sum(xx) over in_slice - xx as xx,
        sum(yy) over in_slice - yy as yy,
        sum(xy) over in_slice - xy as xy
    from centred_sums
    window in_slice as (partition by slice_no)
),

without_one as (
    select
        slice_no,
        (n * xy - x * y) / sqrt(nullif(
            greatest(n * xx - x ** 2, 0) * greatest(n * yy - y ** 2, 0), 0
        )) as pearson
    from sums_of_others
),

jackknife as (
    select
        slice_no,
        case
            when count(*) > 2
                then insights.t_95(count(*) - 1) * sqrt((count(*) - 1) * var_pop(atanh(pearson)))
        end as margin
    from without_one
    -- A perfect correlation has no finite z.
    where abs(pearson) < 1
    group by slice_no
),

measured as (
    select
        slice_no,
        count(distinct store_id) as stores,
        count(*) as open_days,
        corr(sales, customers) as pearson,
        avg(customers) as mean_customers,
        sum(sales) / sum(customers) as basket,
        quantile_cont(sales / customers, 0.1) as basket_p10,
        quantile_cont(sales / customers, 0.9) as basket_p90
    from sliced_days
    group by slice_no
)

select
    named.slice,
    named.value,
    measured.stores,
    measured.open_days,
    case when isfinite(measured.pearson) then measured.pearson end as pearson,
    tanh(atanh(measured.pearson) - jackknife.margin) as pearson_lo_95,
    tanh(atanh(measured.pearson) + jackknife.margin) as pearson_hi_95,
    case when isfinite(ranked.spearman) then ranked.spearman end as spearman,
    measured.mean_customers,
    measured.basket,
    measured.basket_p10,
    measured.basket_p90
from (select distinct slice, value, slice_no from slices) as named
inner join measured using (slice_no)
inner join ranked using (slice_no)
left join jackknife on jackknife.slice_no = named.slice_no and abs(measured.pearson) < 1
order by
    list_position(['chain', 'store type', 'store'], named.slice),
    length(named.value),
    named.value
