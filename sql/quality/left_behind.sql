-- One row a table that a stopped refresh has left at other deliveries, or at another cutoff, than
-- cleaned.sales. Days are compared by their hashes, since the same day may have been corrected, and up
-- to the calendar's $last_day.
with

delivered as (
    select count(*) as days, bit_xor(hash(store_id, date, sales)) as content
    from raw.sales
    where date <= $last_day
),

cleaned as (
    select
        max(date) as cutoff,
        count(*) filter (where not is_absent) as days,
        bit_xor(hash(store_id, date, sales)) filter (where not is_absent) as content
    from cleaned.sales
),

planned as (
    select min(date) - 1 as cutoff from cleaned.plan
),

asked as (
    select max(cutoff) as cutoff from features.future
)

select 'raw.sales' as name
from delivered
cross join cleaned
where (delivered.days, delivered.content) is distinct from (cleaned.days, cleaned.content)

union all

select 'cleaned.plan' as name
from planned
cross join cleaned
where planned.cutoff is distinct from cleaned.cutoff

union all

select 'features.future' as name
from asked
cross join cleaned
where asked.cutoff is distinct from cleaned.cutoff
