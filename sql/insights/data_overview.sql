-- One row a table and fact: for how many of the table's rows it holds, in how many stores, from when
-- to when. What is known of the past, the stores and the plan, what is missing, what was repaired.
with

sales_facts as (
    select
        'cleaned.sales' as table_name,
        store_id,
        date,
        unnest([
            {place: 1, kind: 'rows', fact: 'store days', holds: true},
            {place: 2, kind: 'rows', fact: 'selling days', holds: is_open and sales > 0},
            {place: 3, kind: 'rows', fact: 'closed days', holds: not is_open and not is_absent},
            {place: 4, kind: 'gap', fact: 'days that no file speaks of', holds: is_absent},
            {
                place: 5, kind: 'missing', fact: 'selling days without a count of customers',
                holds: is_open and sales > 0 and coalesce(customers, 0) = 0
            },
            {place: 6, kind: 'repair', fact: 'openings left blank', holds: is_open_inferred},
            {
                place: 7, kind: 'repair', fact: 'closed by the file, open by its sales',
                holds: is_open_corrected
            },
            {place: 8, kind: 'oddity', fact: 'open without sales', holds: is_open and sales = 0},
            {place: 9, kind: 'oddity', fact: 'sales far from the usual', holds: is_outlier}
        ], recursive := true)
    from cleaned.sales
),

described_stores as (
    select stores.*, sold.store_id is not null as has_days
    from cleaned.stores as stores
    left join (select distinct store_id from cleaned.sales) as sold using (store_id)
),

store_facts as (
    select
        'cleaned.stores' as table_name,
        store_id,
        cast(null as date) as date,
        unnest([
            {place: 11, kind: 'rows', fact: 'described stores', holds: true},
            {place: 12, kind: 'gap', fact: 'described stores without days', holds: not has_days},
            {
                place: 13, kind: 'missing', fact: 'distance of the competitor unknown',
                holds: competition_distance_m is null
            },
            {
                place: 14, kind: 'missing', fact: 'opening of the competitor unknown',
                holds: competition_open_since is null
            }
        ], recursive := true)
    from described_stores
),

plan_facts as (
    select
        'cleaned.plan' as table_name,
        store_id,
        date,
        unnest([
            {place: 21, kind: 'rows', fact: 'planned store days', holds: true},
            {place: 22, kind: 'gap', fact: 'days that no plan speaks of', holds: is_derived},
            {place: 23, kind: 'repair', fact: 'planned openings left blank', holds: is_open_inferred}
        ], recursive := true)
    from cleaned.plan
),

refused_rows as (
    -- Where they stand in their files is told in the table itself: a refused row may lack a store.
    select
        'quality.quarantine' as table_name, 31 as place, 'gap' as kind,
        'rows refused' as fact, count(*) as rows, cast(null as double) as share,
        cast(null as bigint) as stores, cast(null as date) as first_day,
        cast(null as date) as last_day
    from quality.quarantine
),

counted as (
    select
        table_name,
        place,
        kind,
        fact,
        count(*) filter (where holds) as rows,
        avg(cast(holds as integer)) as share,
        count(distinct store_id) filter (where holds) as stores,
        min(date) filter (where holds) as first_day,
        max(date) filter (where holds) as last_day
    from (from sales_facts union all from store_facts union all from plan_facts)
    group by table_name, place, kind, fact
)

select
    table_name,
    kind,
    fact,
    rows,
    share,
    stores,
    first_day,
    last_day
from (from counted union all by name from refused_rows)
-- Refused rows alone are nothing that an overview could begin with.
where exists (from cleaned.sales)
order by place
