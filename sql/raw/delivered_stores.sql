-- One row a data row of store.csv, usable or not.
-- Every value is typed strictly; a row's reason tells the first fault of each column.
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
        nullif(trim(store), '') as store_text,
        nullif(trim(storetype), '') as store_type,
        nullif(trim(assortment), '') as assortment,
        nullif(trim(competitiondistance), '') as distance_text,
        nullif(trim(competitionopensincemonth), '') as open_month_text,
        nullif(trim(competitionopensinceyear), '') as open_year_text,
        nullif(trim(promo2), '') as promo2_text,
        nullif(trim(promo2sinceweek), '') as promo2_week_text,
        nullif(trim(promo2sinceyear), '') as promo2_year_text,
        nullif(trim(promointerval), '') as promo_interval
    from numbered
),

numbers as (
    select
        *,
        try_cast(store_text as double) as store_number,
        try_cast(distance_text as double) as competition_distance_m,
        try_cast(open_month_text as double) as open_month,
        try_cast(open_year_text as double) as open_year,
        try_cast(promo2_text as double) as promo2_flag,
        try_cast(promo2_week_text as double) as promo2_week,
        try_cast(promo2_year_text as double) as promo2_year
    from trimmed
),

typed as (
    -- A cast to an integer rounds; the fractions it hides are refused below.
    select
        *,
        try_cast(store_number as integer) as store_id,
        try_cast(open_month as integer) as competition_open_since_month,
        try_cast(open_year as integer) as competition_open_since_year,
        -- Without a Promo2 column, the details tell who takes part.
        coalesce(promo2_flag = 1, promo2_year is not null) as promo2,
        try_cast(promo2_week as integer) as promo2_since_week,
        try_cast(promo2_year as integer) as promo2_since_year,
        list_filter(
            string_split(promo_interval, ','),
            lambda month: not list_contains($month_names, trim(month))
        ) as unknown_months
    from numbers
),

judged as (
    select
        *,
        coalesce(fault, nullif(concat_ws(
            '; ',
            case
                when store_text is null then 'Store is blank'
                when coalesce(store_id <> store_number, true)
                    then format('Store ''{}'' is not a whole number', store_text)
                when store_id < 0 then format('Store is negative: {}', store_text)
            end,
            case
                when store_type is null then 'StoreType is blank'
                when not list_contains($store_types, store_type)
                    then format(
                        'StoreType ''{}'' is none of {}', store_type,
                        array_to_string($store_types, ', ')
                    )
            end,
            case
                when assortment is null then 'Assortment is blank'
                when not list_contains($assortments, assortment)
                    then format(
                        'Assortment ''{}'' is none of {}', assortment,
                        array_to_string($assortments, ', ')
                    )
            end,
            case
                when coalesce(not isfinite(competition_distance_m), distance_text is not null)
                    then format('CompetitionDistance ''{}'' is not a number', distance_text)
                when competition_distance_m < 0
                    then format('CompetitionDistance is negative: {}', distance_text)
            end,
            case
                when coalesce(not list_contains($months, open_month), open_month_text is not null)
                    then format(
                        'CompetitionOpenSinceMonth ''{}'' is not a month ({} to {})',
                        open_month_text, list_min($months), list_max($months)
                    )
            end,
            case
                when coalesce(not list_contains($years, open_year), open_year_text is not null)
                    then format(
                        'CompetitionOpenSinceYear ''{}'' is not a year ({} to {})', open_year_text,
                        list_min($years), list_max($years)
                    )
            end,
            case
                when coalesce(promo2_flag not in (0, 1), promo2_text is not null)
                    then format('Promo2 ''{}'' is neither 0 nor 1', promo2_text)
            end,
            case
                when coalesce(not list_contains($weeks, promo2_week), promo2_week_text is not null)
                    then format(
                        'Promo2SinceWeek ''{}'' is not a week ({} to {})', promo2_week_text,
                        list_min($weeks), list_max($weeks)
                    )
            end,
            case
                when coalesce(not list_contains($years, promo2_year), promo2_year_text is not null)
                    then format(
                        'Promo2SinceYear ''{}'' is not a year ({} to {})', promo2_year_text,
                        list_min($years), list_max($years)
                    )
            end,
            case
                when len(unknown_months) > 0
                    then format(
                        'PromoInterval ''{}'' has unknown months: {}', promo_interval,
                        array_to_string(unknown_months, ', ')
                    )
            end
        ), '')) as reason
    from typed
)

select
    line,
    left(reason, 1000) as reason, row_text,
    store_id,
    store_type, assortment,
    competition_distance_m, competition_open_since_month, competition_open_since_year,
    promo2, promo2_since_week, promo2_since_year, promo_interval
from judged
