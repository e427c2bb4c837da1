-- One row a window of the backtest in which something can be judged, counted from $first_cutoff: its
-- cutoff. A store sold in it that had opened before.
with

openings as (
    select store_id, min(date) as opening_day from cleaned.sales where is_open group by store_id
),

selling_days as (
    select
        store_id,
        cast($first_cutoff as date) + cast($horizon as integer)
        * cast(floor((date - cast($first_cutoff as date) - 1) / $horizon) as integer) as cutoff
    from cleaned.sales
    where is_open and sales > 0
)

select distinct cutoff
from selling_days
inner join openings using (store_id)
where openings.opening_day <= selling_days.cutoff
order by cutoff
