-- One row a data row of train.csv or test.csv, usable or not.
-- Every value is typed strictly; a row's reason tells the first fault of each column.
-- Both files describe store days; `$kind` tells sales ('sales') from the plan ('plan').
with

numbered as (
    select *
    from
        read_csv(
            $path, columns = $columns, header = false, auto_detect = false, delim = ',',
            quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = true
        )
),

trimmed as (
    select
        line, row_text, fault,
        nullif(trim(id), '') as id_text,
        nullif(trim(store), '') as store_text,
        nullif(trim(date), '') as date_text,
        nullif(trim(sales), '') as sales_text,
        nullif(trim(customers), '') as customers_text,
        nullif(trim(open), '') as open_text,
        nullif(trim(promo), '') as promo_text,
        nullif(trim(stateholiday), '') as state_holiday,
        nullif(trim(schoolholiday), '') as school_holiday_text
    from numbered
),

numbers as (
    select
        *,
        try_cast(id_text as double) as id_number,
        try_cast(store_text as double) as store_number,
        try_cast(sales_text as double) as sales,
        try_cast(customers_text as double) as customers_number,
        try_cast(open_text as double) as open_flag,
        try_cast(promo_text as double) as promo_flag,
        try_cast(school_holiday_text as double) as school_holiday_flag
    from trimmed
),

typed as (
    -- A cast to an integer rounds; the fractions it hides are refused below.
    select
        *,
        try_cast(id_number as bigint) as id,
        case
            when store_number = trunc(store_number) then try_cast(store_number as integer)
        end as store_id,
        cast(try_strptime(date_text, '%Y-%m-%d') as date) as date,
        try_cast(customers_number as bigint) as customers,
        open_flag = 1 as is_open,
        promo_flag = 1 as is_promo,
        school_holiday_flag = 1 as is_school_holiday
    from numbers
),

judged as (
    select
        *,
        coalesce(fault, nullif(concat_ws(
            '; ',
            case
                when coalesce(id <> id_number, id_text is not null)
                    then format('Id ''{}'' is not a whole number', id_text)
            end,
            case
                when store_text is null then 'Store is blank'
                when store_id is null
                    then format('Store ''{}'' is not a whole number', store_text)
            end,
            case
                when date_text is null then 'Date is blank'
                when date is null
                    then format('Date ''{}'' is not a date (YYYY-MM-DD)', date_text)
                when date < cast($earliest_day as date)
                    then format(
                        'Date {} is before {}', date_text, year(cast($earliest_day as date))
                    )
                when $kind = 'sales' and date > cast($today as date)
                    then format('Date {} is in the future', date_text)
            end,
            case
                when $kind = 'sales' and sales_text is null then 'Sales is blank'
                when $kind = 'sales' and not coalesce(isfinite(sales), false)
                    then format('Sales ''{}'' is not a number', sales_text)
                when sales < 0 then format('Sales is negative: {}', sales_text)
            end,
            case
                when coalesce(customers <> customers_number, customers_text is not null)
                    then format('Customers ''{}'' is not a whole number', customers_text)
                when customers < 0 then format('Customers is negative: {}', customers_text)
            end,
            case
                when coalesce(open_flag not in (0, 1), open_text is not null)
                    then format('Open ''{}'' is neither 0 nor 1', open_text)
            end,
            case
                when promo_text is null then 'Promo is blank'
                when coalesce(promo_flag not in (0, 1), true)
                    then format('Promo ''{}'' is neither 0 nor 1', promo_text)
            end,
            case
                when state_holiday is null then 'StateHoliday is blank'
                when not list_contains($state_holidays, state_holiday)
                    then format(
                        'StateHoliday ''{}'' is none of {}', state_holiday,
                        array_to_string($state_holidays, ', ')
                    )
            end,
            case
                when school_holiday_text is null then 'SchoolHoliday is blank'
                when coalesce(school_holiday_flag not in (0, 1), true)
                    then format('SchoolHoliday ''{}'' is neither 0 nor 1', school_holiday_text)
            end
        ), '')) as reason
    from typed
)

select
    line,
    left(reason, 1000) as reason, row_text,
    id, store_id, date,
    sales, customers,
    is_open, is_promo, state_holiday, is_school_holiday
from judged
