-- One row a kind of holiday and day around it: what the stores open that day sell against their
-- usual day of the same weekday and promotion. Days count from the first of some holidays that lie
-- together, such as Easter's two, and from the last of them; 0 are these holidays themselves and
-- the days between them. New Year's Day is left to Christmas, and so are all days within a week of
-- Christmas or Easter to these. Intervals are over stores and occasions (Cameron, Gelbach and Miller,
-- 2011): the Christmas or Easter of a year, or the day of another holiday.
with

holidays as (
    select
        store_id,
        date,
        state_holiday as kind,
        date - lag(date) over (partition by store_id, state_holiday order by date) as days_since
    from cleaned.sales
    where state_holiday <> 'none' and not (month(date) = 1 and day(date) = 1)
),

numbered as (
    select
        *,
        sum(cast(coalesce(days_since > 4, true) as integer)) over (
            partition by store_id, kind order by date rows unbounded preceding
        ) as occasion
    from holidays
),

occasions as (
    select store_id, kind, min(date) as first_day, max(date) as last_day
    from numbered
    group by store_id, kind, occasion
),

days_around as (
    select
        store_id,
        kind,
        first_day,
        last_day,
        cast(unnest(generate_series(
            first_day - interval 7 day, last_day + interval 7 day, interval 1 day
        )) as date) as date
    from occasions
),

placed as (
    select
        store_id,
        kind,
        first_day,
        date,
        case
            when date < first_day then date - first_day
            when date > last_day then date - last_day
            else 0
        end as day
    from days_around
),

nearest as (
    -- A day in reach of several holidays is that of Christmas or Easter, then of the nearest one.
    select *
    from placed
    qualify
        row_number() over (
            partition by store_id, date order by kind = 'public', abs(day), first_day
        ) = 1
),

keyed as (
    -- The days of one Christmas or Easter are one occasion.
    select
        {
            'kind': nearest.kind,
            'day': nearest.day,
            'part': case
                when nearest.day < 0 then 'before'
                when nearest.day > 0 then 'after'
                when days.state_holiday = 'none' then 'between'
                else 'on the holiday'
            end
        } as key,
        days.store_id,
        if(nearest.kind = 'public', days.date, date_trunc('year', nearest.first_day)) as occasion,
        days.sales_deviation as sales,
        days.customers_deviation as customers
    from insights.deviations as days
    inner join nearest using (store_id, date)
    where days.sales_deviation is not null
)

select
    key.kind,
    key.part,
    cast(key.day as integer) as day,
    stores,
    occasions,
    days,
    sales_effect,
    sales_lo_95,
    sales_hi_95,
    customers_effect,
    customers_lo_95,
    customers_hi_95
from insights.effects('keyed')
order by key.kind, key.day, key.part
