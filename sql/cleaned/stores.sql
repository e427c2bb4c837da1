-- One row a store: its attributes in the platform's vocabulary.
with

iso_weeks as (
    select
        store_id,
        -- 4 January is always in ISO week 1, so its Monday starts the ISO year.
        make_date(promo2_since_year, 1, 4) as fourth_of_january,
        promo2_since_week as week
    from raw.stores
    where promo2 and promo2_since_year is not null and promo2_since_week is not null
),

promo2_starts as (
    select
        store_id,
        cast(
            fourth_of_january
            - to_days(cast(isodow(fourth_of_january) as integer) - 1)
            + to_days(7 * (week - 1))
            as date
        ) as promo2_since
    from iso_weeks
),

promo2_rounds as (
    select
        store_id,
        list_transform(
            string_split(promo_interval, ','),
            lambda month: cast(
                month(strptime(left(trim(month), 3) || ' 2000', '%b %Y')) as tinyint
            )
        ) as promo2_months
    from raw.stores
    where promo2 and promo_interval is not null and promo_interval <> ''
)

select
    stores.store_id,
    stores.store_type,
    case stores.assortment
        when 'a' then 'basic' when 'b' then 'extra' when 'c' then 'extended'
    end as assortment,
    stores.competition_distance_m,
    make_date(
        stores.competition_open_since_year, stores.competition_open_since_month, 1
    ) as competition_open_since,
    promo2_starts.promo2_since,
    promo2_rounds.promo2_months
from raw.stores as stores
left join promo2_starts using (store_id)
left join promo2_rounds using (store_id)
order by stores.store_id
