-- One row a covariate: whether it is distributed alike in the history and in the coming plan, by
-- shares of store days (open ones, save for openings and state holidays themselves). `level` is the
-- value whose share differs most. PSI is the population stability index, with empty shares taken as
-- 0.01 %; distance is the share of store days that would have to change their value. All stores
-- share one calendar, so store days are no sample: the plan is held against every stretch of the
-- history of its length instead. Same weeks are those of former years, whole weeks before.
with

store_days as (
    select date, 'history' as side, store_id, is_open, is_promo, state_holiday, is_school_holiday
    from cleaned.sales
    where not is_absent
    union all
    select date, 'plan', store_id, is_open, is_promo, state_holiday, is_school_holiday
    from cleaned.plan
),

described as (
    select
        store_days.*,
        coalesce(stores.store_type, 'unknown') as store_type,
        coalesce(stores.assortment, 'unknown') as assortment,
        case
            when stores.competition_distance_m is null then 'unknown'
            when stores.competition_distance_m < 500 then 'under 500 m'
            when stores.competition_distance_m < 2000 then '500 m to 2 km'
            when stores.competition_distance_m < 10000 then '2 to 10 km'
            else '10 km or more'
        end as competition_distance,
        coalesce(stores.promo2_since <= store_days.date, false) as runs_promo2,
        coalesce(
            stores.promo2_since <= store_days.date
            and list_contains(stores.promo2_months, month(store_days.date)), false
        ) as promo2_starts_anew
    from store_days
    left join cleaned.stores as stores using (store_id)
),

counted as (
    select
        side,
        date,
        is_open,
        is_promo,
        state_holiday,
        is_school_holiday,
        store_type,
        assortment,
        competition_distance,
        runs_promo2,
        promo2_starts_anew,
        count(*) as n
    from described
    group by all
),

-- One row a side, covariate, value and day.
values_of_days as (
    select side, date, 'is_open' as covariate, if(is_open, 'yes', 'no') as level, n from counted
    union all
    select side, date, 'state_holiday', state_holiday, n from counted
    union all
    select side, date, 'is_promo', if(is_promo, 'yes', 'no'), n from counted where is_open
    union all
    select side, date, 'is_school_holiday', if(is_school_holiday, 'yes', 'no'), n
    from counted where is_open
    union all
    select side, date, 'weekday', dayname(date), n from counted where is_open
    union all
    select side, date, 'quarter', 'Q' || quarter(date), n from counted where is_open
    union all
    select side, date, 'store_type', store_type, n from counted where is_open
    union all
    select side, date, 'assortment', assortment, n from counted where is_open
    union all
    select side, date, 'competition_distance', competition_distance, n from counted where is_open
    union all
    select side, date, 'runs_promo2', if(runs_promo2, 'yes', 'no'), n from counted where is_open
    union all
    select side, date, 'promo2_starts_anew', if(promo2_starts_anew, 'yes', 'no'), n
    from counted where is_open
),

daily as (
    select side, covariate, level, date, sum(n) as n
    from values_of_days
    group by side, covariate, level, date
),

extent as (
    select
        (select min(date) from cleaned.sales) as first_day,
        (select max(date) from cleaned.sales) as last_day,
        (select min(date) from cleaned.plan) as first_plan_day,
        (select count(distinct date) from cleaned.plan) as plan_days
),

same_days as (
    select distinct plan.date - cast(364 * years.k as integer) as date
    from (select distinct date from cleaned.plan) as plan
    cross join (select unnest(generate_series(1, 10)) as k) as years
    cross join extent
    where extent.first_plan_day - cast(364 * years.k as integer) >= extent.first_day
),

-- Stretches of the history that start a week apart, the last of which ends with the history.
stretches as (
    select last_day - cast(7 * k as integer) as last_day, plan_days
    from extent
    cross join (select unnest(generate_series(0, 1000)) as k) as weeks
    where last_day - cast(7 * k as integer) - cast(plan_days as integer) + 1 >= first_day
),

samples as (
    select covariate, level, 'history' as sample, n from daily where side = 'history'
    union all
    select covariate, level, 'plan', n from daily where side = 'plan'
    union all
    select daily.covariate, daily.level, 'same weeks', daily.n
    from daily
    inner join same_days using (date)
    where daily.side = 'history'
    union all
    select daily.covariate, daily.level, cast(stretches.last_day as varchar), daily.n
    from daily
    inner join stretches
        on
            daily.date <= stretches.last_day
            and daily.date > stretches.last_day - cast(stretches.plan_days as integer)
    where daily.side = 'history'
),

tallies as (
    select covariate, level, sample, sum(n) as n from samples group by covariate, level, sample
),

-- Values that a sample is without count too.
shares as (
    select
        every.covariate,
        every.level,
        every.sample,
        coalesce(tallies.n, 0) / sum(tallies.n) over (partition by every.covariate, every.sample)
            as share
    from (
        select levels.covariate, levels.level, kinds.sample
        from (select distinct covariate, level from tallies) as levels
        inner join (select distinct covariate, sample from tallies) as kinds using (covariate)
    ) as every
    left join tallies using (covariate, level, sample)
),

compared as (
    select
        here.covariate,
        here.sample,
        base.sample as against,
        here.level,
        here.share,
        base.share as base_share,
        (greatest(here.share, 0.0001) - greatest(base.share, 0.0001))
        * ln(greatest(here.share, 0.0001) / greatest(base.share, 0.0001)) as psi
    from shares as here
    inner join shares as base
        on base.covariate = here.covariate and base.level = here.level
    where
        (base.sample = 'history' and here.sample not in ('history', 'same weeks'))
        or (base.sample = 'same weeks' and here.sample = 'plan')
),

judged as (
    select
        covariate,
        sample,
        against,
        sum(psi) as psi,
        sum(abs(share - base_share)) / 2 as distance,
        -- Of the two values of a flag it is `yes` that is told.
        arg_max(level, (abs(share - base_share), level)) as furthest,
        max(level) filter (where level = 'yes') as yes
    from compared
    group by covariate, sample, against
),

against_history as (
    select * from judged where sample = 'plan' and against = 'history'
),

stretches_as_far as (
    select
        judged.covariate,
        count(*) as stretches,
        -- Equal shares are as far away, whatever the last digits of their sums.
        avg(cast(judged.psi > against_history.psi - 1e-9 as integer)) as stretches_as_far
    from judged
    inner join against_history using (covariate)
    where judged.sample not in ('plan', 'same weeks')
    group by judged.covariate
),

derived as (
    select avg(cast(is_derived as integer)) as derived_share from cleaned.plan
)

select
    against_history.covariate,
    coalesce(against_history.yes, against_history.furthest) as level,
    history.share as history_share,
    same_weeks.share as same_weeks_share,
    plan.share as plan_share,
    against_history.psi,
    against_history.distance,
    stretches_as_far.stretches,
    stretches_as_far.stretches_as_far,
    case
        when against_history.psi < 0.1 then 'alike'
        when against_history.psi < 0.25 then 'moved'
        else 'different'
    end as verdict,
    same_weeks_judged.psi as psi_same_weeks,
    case
        when same_weeks_judged.psi is null then null
        when same_weeks_judged.psi < 0.1 then 'alike'
        when same_weeks_judged.psi < 0.25 then 'moved'
        else 'different'
    end as verdict_same_weeks,
    derived.derived_share
from against_history
cross join derived
left join stretches_as_far using (covariate)
left join judged as same_weeks_judged
    on
        same_weeks_judged.covariate = against_history.covariate
        and same_weeks_judged.sample = 'plan'
        and same_weeks_judged.against = 'same weeks'
inner join shares as history
    on
        history.covariate = against_history.covariate
        and history.sample = 'history'
        and history.level = coalesce(against_history.yes, against_history.furthest)
inner join shares as plan
    on
        plan.covariate = against_history.covariate
        and plan.sample = 'plan'
        and plan.level = history.level
left join shares as same_weeks
    on
        same_weeks.covariate = against_history.covariate
        and same_weeks.sample = 'same weeks'
        and same_weeks.level = history.level
order by against_history.psi desc, against_history.covariate
