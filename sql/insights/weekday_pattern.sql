-- One row a weekday (1 is Monday): sales, customers and basket of an open day.
select
    isodow(date) as weekday,
    count(*) as open_days,
    count(distinct store_id) as stores,
    avg(sales) as mean_sales,
    median(sales) as median_sales,
    avg(customers) as mean_customers,
    sum(sales) / nullif(sum(customers), 0) as basket,
    avg(sales) / avg(avg(sales)) over () - 1 as above_mean_weekday
from cleaned.sales
where is_open and sales > 0
group by isodow(date)
order by weekday
