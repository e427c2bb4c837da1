-- One row a store type, and one for the chain: how closely sales follow customers on open days.
select
    coalesce(stores.store_type, 'all') as store_type,
    count(*) as open_days,
    corr(sales.sales, sales.customers) as pearson,
    avg(sales.customers) as mean_customers,
    sum(sales.sales) / nullif(sum(sales.customers), 0) as basket
from cleaned.sales as sales
inner join cleaned.stores as stores using (store_id)
where sales.is_open and sales.sales > 0 and sales.customers > 0
group by grouping sets ((), (stores.store_type))
order by store_type
