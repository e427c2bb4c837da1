-- One row a row of delivered_rows, read from store.csv.
-- Adds the reason that only other rows can give: a store that stands there twice.
with

first_lines as (
    select store_id, min(line) as first_line
    from delivered_rows
    where reason is null
    group by store_id
)

select
    delivered_rows.* replace (
        case
            when delivered_rows.reason is null and line > first_line
                then format('Store {} repeats line {}', store_id, first_line)
            else delivered_rows.reason
        end as reason
    )
from delivered_rows
left join first_lines using (store_id)
