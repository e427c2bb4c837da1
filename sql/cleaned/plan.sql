-- One row a store and coming day, up to SALES_HORIZON days after the last sales: what is known
-- ahead. What the delivered plan leaves out is derived: usual opening days, the promotions' rhythm
-- of two weeks, and the known holidays of Germany. A store of which two weeks of files say nothing
-- is taken for closed, until a later plan names it.
with

cutoff as (
    select max(date) as cutoff from cleaned.sales
),

days as (
    select
        cutoff,
        cast(unnest(generate_series(
            cutoff + interval 1 day, cutoff + to_days(cast($horizon as integer)), interval 1 day
        )) as date) as date
    from cutoff
),

calendar as (
    select stores.store_id, days.date, days.cutoff
    from (select distinct store_id from cleaned.sales) as stores
    cross join days
),

reported as (
    -- Before its first day a store had not opened, and of the days after its last one nobody has
    -- told yet; in between, a day that no file speaks of was a closed one.
    select store_id, min(date) as first_day, max(date) as last_day
    from cleaned.sales
    where not is_absent
    group by store_id
),

loads_by_day as (
    select date, min(load_id) as load_id from raw.sales group by date
),

silent_stores as (
    -- Since which load it is known that the store has been silent for two weeks.
    select reported.store_id, min(loads_by_day.load_id) as since_load_id
    from reported
    inner join loads_by_day on loads_by_day.date >= reported.last_day + 14
    group by reported.store_id
),

opening_days as (
    select
        sales.store_id,
        isodow(sales.date) as weekday,
        avg(cast(sales.is_open as integer)) > 0.5 as is_usually_open
    from cleaned.sales as sales
    inner join reported
        on
            reported.store_id = sales.store_id
            and sales.date between reported.first_day and reported.last_day
    cross join cutoff
    where sales.date > cutoff.cutoff - 56 and sales.state_holiday = 'none'
    group by sales.store_id, isodow(sales.date)
),

holiday_openings as (
    select sales.store_id, avg(cast(sales.is_open as integer)) > 0.5 as opens_on_holidays
    from cleaned.sales as sales
    inner join reported
        on
            reported.store_id = sales.store_id
            and sales.date between reported.first_day and reported.last_day
    where sales.state_holiday <> 'none'
    group by sales.store_id
),

observed as (
    -- Whether a store kept a holiday when it came round last tells which state it is in.
    select
        sales.store_id,
        holidays.name,
        arg_max(sales.state_holiday <> 'none', sales.date) as is_kept
    from cleaned.sales as sales
    inner join holidays on holidays.date = sales.date
    where not sales.is_absent
    group by sales.store_id, holidays.name
),

known_holidays as (
    select calendar.store_id, calendar.date, min(holidays.kind) as kind
    from calendar
    inner join holidays on holidays.date = calendar.date
    left join observed
        on observed.store_id = calendar.store_id and observed.name = holidays.name
    where coalesce(observed.is_kept, holidays.is_national)
    group by calendar.store_id, calendar.date
),

derived as (
    select
        calendar.store_id,
        calendar.date,
        coalesce(known_holidays.kind, 'none') as state_holiday,
        silent_stores.store_id is null
        and coalesce(opening_days.is_usually_open, false)
        and (known_holidays.kind is null or coalesce(holiday_openings.opens_on_holidays, false))
            as is_open,
        coalesce(rhythm.is_promo, false) as is_promo,
        coalesce(last_year.is_school_holiday, false) as is_school_holiday,
        silent_stores.since_load_id as silent_since_load_id
    from calendar
    left join silent_stores using (store_id)
    left join known_holidays using (store_id, date)
    left join holiday_openings using (store_id)
    left join opening_days
        on
            opening_days.store_id = calendar.store_id
            and opening_days.weekday = isodow(calendar.date)
    left join cleaned.sales as rhythm
        on
            rhythm.store_id = calendar.store_id
            and rhythm.date
            = calendar.date - 14 * cast(ceil((calendar.date - calendar.cutoff) / 14) as integer)
    left join cleaned.sales as last_year
        on last_year.store_id = calendar.store_id and last_year.date = calendar.date - 364
)

select
    derived.store_id,
    derived.date,
    coalesce(
        plan.is_open,
        -- A blank in a delivered plan: closed on the holidays that the plan names.
        derived.is_open and coalesce(plan.state_holiday, '0') = '0'
    ) as is_open,
    coalesce(plan.is_promo, derived.is_promo) as is_promo,
    case
        when plan.state_holiday is null then derived.state_holiday
        when plan.state_holiday = 'a' then 'public'
        when plan.state_holiday = 'b' then 'easter'
        when plan.state_holiday = 'c' then 'christmas'
        else 'none'
    end as state_holiday,
    coalesce(plan.is_school_holiday, derived.is_school_holiday) as is_school_holiday,
    plan.store_id is null as is_derived,
    plan.store_id is not null and plan.is_open is null as is_open_inferred
from derived
left join raw.plan as plan
    on
        plan.store_id = derived.store_id
        and plan.date = derived.date
        -- What was planned before the store fell silent is out of date.
        and coalesce(plan.load_id > derived.silent_since_load_id, true)
order by derived.store_id, derived.date
