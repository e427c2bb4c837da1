-- One row a row of delivered_rows, read from train.csv or test.csv.
-- Adds the reasons that only other rows can give: an unknown store, a store's day that stands
-- there twice, and a day so far from the others that its date must be a typing error; such a day
-- would stretch the calendar over years without sales.
with

usable as (
    select line, store_id, date
    from delivered_rows
    semi join raw.stores using (store_id)
    where reason is null
),

repeated as (
    select store_id, date, min(line) as first_line
    from usable
    group by store_id, date
    having count(*) > 1
),

delivered_days as (
    select date, false as is_loaded, count(*) as rows from usable group by date
    union all
    select date, true as is_loaded, count(*) as rows from raw.sales group by date
),

days as (
    select
        date,
        bool_or(is_loaded) as is_loaded,
        sum(rows) as rows,
        coalesce(date - lag(date) over (order by date) > $max_gap_days, true) as starts_block
    from delivered_days
    group by date
),

numbered_days as (
    select
        date, is_loaded, rows,
        sum(cast(starts_block as integer)) over (order by date) as block
    from days
),

calendar as (
    -- The block of days that is already loaded, or else the one with the most rows.
    select min(date) as first_day, max(date) as last_day
    from numbered_days
    group by block
    order by bool_or(is_loaded) desc, sum(rows) desc, block
    limit 1
),

distant as (
    select
        date,
        case
            when date > last_day
                then format(
                    'Date {} is {} days after {}, the last of the other days (at most {} allowed)',
                    date, date - last_day, last_day, $max_gap_days
                )
            else format(
                'Date {} is {} days before {}, the first of the other days (at most {} allowed)',
                date, first_day - date, first_day, $max_gap_days
            )
        end as reason
    from days
    cross join calendar
    where date not between first_day and last_day
)

select
    delivered_rows.* replace (
        nullif(concat_ws(
            '; ',
            delivered_rows.reason,
            case
                when stores.store_id is null and delivered_rows.store_id is not null
                    then format('Store {} is not in store.csv', delivered_rows.store_id)
                when delivered_rows.reason is not null then null
                when delivered_rows.line > repeated.first_line
                    then format(
                        'Store {} on {} repeats line {}',
                        delivered_rows.store_id, delivered_rows.date, repeated.first_line
                    )
                else distant.reason
            end
        ), '') as reason
    )
from delivered_rows
left join raw.stores as stores using (store_id)
left join repeated using (store_id, date)
left join distant using (date)
