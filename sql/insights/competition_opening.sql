-- One row a stretch of time around a competitor's opening inside the history: how far a store's sales
-- moved from their level in the quarter before it, beyond what similar stores did on the same days
-- whose competition stayed as it was. Four weeks at a time, then all of the half-year after, the
-- same by distance, and a placebo: the later half of the quarter before against the earlier.
with

span as (
    select min(date) as first_day, max(date) as last_day from cleaned.sales
),

openings as (
    select
        stores.store_id,
        stores.store_type,
        stores.competition_open_since as opened_on,
        case
            when stores.competition_distance_m < 1000 then 'under 1 km'
            when stores.competition_distance_m >= 1000 then '1 km and more'
        end as distance
    from cleaned.stores as stores
    cross join span
    where
        stores.competition_open_since - 91 >= span.first_day
        and stores.competition_open_since + 56 <= span.last_day
),

-- Who is compared with: the competitor's opening is not within the history or a year before it.
others as (
    select stores.store_id, stores.store_type
    from cleaned.stores as stores
    cross join span
    where
        stores.competition_open_since is null
        or stores.competition_open_since < span.first_day - 365
        or stores.competition_open_since > span.last_day
),

others_days as (
    select others.store_type, days.date, avg(days.sales_residual) as shared
    from insights.deviations as days
    inner join others using (store_id)
    group by others.store_type, days.date
    having count(*) >= 3
),

chain_days as (
    select days.date, avg(days.sales_residual) as shared
    from insights.deviations as days
    inner join others using (store_id)
    group by days.date
    having count(*) >= 3
),

own_days as (
    -- Kinds with few stores to compare with are compared with all others.
    select
        openings.store_id,
        openings.distance,
        cast(days.date - openings.opened_on as integer) as day,
        days.sales_residual - coalesce(others_days.shared, chain_days.shared) as beyond
    from openings
    inner join insights.deviations as days using (store_id)
    inner join chain_days on chain_days.date = days.date
    left join others_days
        on others_days.date = days.date and others_days.store_type = openings.store_type
    where days.date - openings.opened_on between -91 and 363
),

befores as (
    select
        store_id,
        avg(beyond) as level,
        avg(beyond) filter (where day < -45) as early_level
    from own_days
    where day < 0
    group by store_id
    having count(*) >= 42
),

moved as (
    select
        own_days.store_id,
        own_days.distance,
        own_days.day,
        own_days.beyond - befores.level as change,
        own_days.beyond - befores.early_level as change_of_half
    from own_days
    inner join befores using (store_id)
),

stretches as (
    select
        'four weeks' as slice,
        printf('%+d', 4 * cast(floor(day / 28) as integer)) as value,
        4 * cast(floor(day / 28) as integer) as from_week,
        store_id,
        avg(change) as change
    from moved
    where day >= -84
    group by all
    union all by name
    select 'half-year after' as slice, 'all' as value, 100 as from_week, store_id, avg(change) as change
    from moved
    where day between 0 and 181
    group by store_id
    union all by name
    select
        'half-year after' as slice,
        distance as value,
        if(distance = 'under 1 km', 101, 102) as from_week,
        store_id,
        avg(change) as change
    from moved
    where day between 0 and 181 and distance is not null
    group by store_id, distance
    union all by name
    select
        'placebo' as slice, 'later half of before' as value, 103 as from_week, store_id,
        avg(change_of_half) as change
    from moved
    where day between -45 and -1 and change_of_half is not null
    group by store_id
),

effects as (
    select
        slice,
        value,
        from_week,
        count(*) as stores,
        avg(change) as effect,
        insights.margin_95(change) as margin
    from stretches
    group by slice, value, from_week
)

select
    slice,
    value,
    case when slice = 'four weeks' then from_week end as from_week,
    stores,
    exp(effect) - 1 as effect,
    exp(effect - margin) - 1 as effect_lo_95,
    exp(effect + margin) - 1 as effect_hi_95
from effects
order by effects.from_week
