-- One row a store: what the days that the last refresh knew sold as they are delivered now, as a
-- multiple of what they sold then.
select
    store_id,
    sum(delivered.sales) / sum(known.sales) as times_known
from cleaned.sales as known
inner join raw.sales as delivered using (store_id, date)
where known.sales > 0
group by store_id
order by store_id
