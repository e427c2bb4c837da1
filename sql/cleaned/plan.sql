-- One row a store and coming day, up to SALES_HORIZON days after the last sales: what is known
-- ahead. What the delivered plan leaves out is derived: usual opening days, the promotions' rhythm
-- of two weeks, and the known holidays of Germany. A store of which two weeks of files say nothing
-- is taken for closed, until a later plan names it; one that four weeks of files have closed, until
-- it opens or is planned to.
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
    -- told yet.
    select store_id, min(date) as first_day, max(date) as last_day
    from cleaned.sales
    where not is_absent
    group by store_id
),

delivered_days as (
    -- Numbered, since a pause in which no file speaks of any store is nobody's silence.
    select
        sales.date,
        min(sales.load_id) as load_id,
        row_number() over (order by sales.date) as number
    from raw.sales as sales
    cross join cutoff
    where sales.date <= cutoff.cutoff
    group by sales.date
),

silent_stores as (
    -- Since which load it is known that the store has been silent for two weeks.
    select reported.store_id, min(since.load_id) as since_load_id
    from reported
    inner join delivered_days as heard on heard.date = reported.last_day
    inner join delivered_days as since on since.number >= heard.number + 14
    group by reported.store_id
),

closed_stores as (
    -- Files tell of four weeks of closed days since the store opened last.
    select sales.store_id
    from cleaned.sales as sales
    inner join (
        select store_id, max(date) as last_open_day
        from cleaned.sales
        where is_open
        group by store_id
    ) as openings using (store_id)
    where sales.date > openings.last_open_day and not sales.is_absent
    group by sales.store_id
    having count(*) >= 28
),

usual_days as (
    -- A day without an opening within three days is one of a pause or a refurbishment, or of no
    -- file, and tells nothing of the store's weekdays; any other day that no file speaks of was a
    -- closed one.
    select sales.store_id, isodow(sales.date) as weekday, sales.date, sales.is_open
    from (
        select
            store_id, date, is_open, state_holiday,
            bool_or(is_open) over (
                partition by store_id order by date rows between 3 preceding and 3 following
            ) as is_near_opening
        from cleaned.sales
    ) as sales
    inner join reported
        on
            reported.store_id = sales.store_id
            and sales.date between reported.first_day and reported.last_day
    where sales.is_near_opening and sales.state_holiday = 'none'
    qualify
        row_number() over (
            partition by sales.store_id, isodow(sales.date) order by sales.date desc
        ) <= 8
),

opening_days as (
    select store_id, weekday, avg(cast(is_open as integer)) > 0.5 as is_usually_open
    from usual_days
    group by store_id, weekday
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
        and closed_stores.store_id is null
        and coalesce(opening_days.is_usually_open, false)
        and (known_holidays.kind is null or coalesce(holiday_openings.opens_on_holidays, false))
            as is_open,
        coalesce(rhythm.is_promo, false) as is_promo,
        coalesce(last_year.is_school_holiday, false) as is_school_holiday,
        silent_stores.since_load_id as silent_since_load_id
    from calendar
    left join silent_stores using (store_id)
    left join closed_stores using (store_id)
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
