-- One row a target (cutoff, store, date): everything that a model may know about the date at the
-- end of the cutoff. `targets` decides which rows; the definitions below are the only ones, for
-- training, backtests, forecasts and serving alike.
with

plans as (
    select
        targets.cutoff,
        targets.is_training,
        targets.cutoff + cast($horizon as integer) as plan_end,
        cast(targets.date - targets.cutoff as smallint) as h,
        days.*
    from targets
    inner join days using (store_id, date)
),

seen_plans as (
    -- A plan is known for the horizon after the cutoff and no further, in training too.
    select
        * replace (
            if(next_open_day <= plan_end, next_open_day, null) as next_open_day,
            if(next_promo_start <= plan_end, next_promo_start, null) as next_promo_start,
            -- Whether a run ends on the plan's last day only the day after could tell.
            if(promo_end < plan_end, promo_end, null) as promo_end,
            if(next_state_holiday <= plan_end, next_state_holiday, null) as next_state_holiday,
            if(next_school_holiday_start <= plan_end, next_school_holiday_start, null)
                as next_school_holiday_start,
            if(school_holiday_end < plan_end, school_holiday_end, null) as school_holiday_end
        )
    from plans
),

anchored as (
    -- The anchor is what days like this one sold lately. Models learn the log ratio to it, since
    -- trees cannot extrapolate a level that they have not seen.
    select
        seen_plans.*,
        profiles.date as profile_date,
        profiles.occurrences,
        profiles.customers_mean_13 / 1e6 as profile_customers,
        profiles.deviation_26 / 1e6 as profile_deviation,
        profiles.micro_log_sales / 1e6 as profile_last,
        profiles.median_4 / 1e6 as profile_median_4,
        profiles.median_8 / 1e6 as profile_median_8,
        profiles.median_26 / 1e6 as profile_median_26,
        profiles.mean_52 / 1e6 as profile_mean_52,
        coalesce(
            profiles.mean_13 / 1e6, levels.level_56, levels.level_182, levels.level_364,
            levels.level_ever
        ) as anchor,
        levels.* exclude (store_id, cutoff)
    from seen_plans
    inner join levels
        on levels.store_id = seen_plans.store_id and levels.cutoff = seen_plans.cutoff
    asof left join profiles
        on
            profiles.store_id = seen_plans.store_id
            and profiles.weekday = seen_plans.weekday
            and profiles.is_promo = seen_plans.is_promo
            and profiles.date <= seen_plans.cutoff
),

dated as (
    -- Days of former years that a day may take after: the same weekday, the same date, and in the
    -- weeks around Easter the same distance from it.
    select
        anchored.*,
        last_easters.easter + cast(anchored.date - easters.easter as integer)
            as last_easter_date
    from anchored
    left join easters
        on
            easters.year = year(anchored.date)
            and anchored.date - easters.easter between -63 and 63
    left join easters as last_easters on last_easters.year = easters.year - 1
)

select
    cutoff,
    dated.store_id,
    date,
    h,
    is_training,
    is_open,
    is_promo,
    state_holiday,
    is_school_holiday,
    weekday,

    -- The store. What begins after the known plan is not known either.
    stores.store_type,
    stores.assortment,
    cast(if(
        stores.competition_open_since > plan_end, null, ln(1 + stores.competition_distance_m)
    ) as float) as log_competition_distance,
    cast(if(
        stores.competition_open_since <= plan_end,
        least((date - stores.competition_open_since) / 30.4, 60), null
    ) as float) as competition_age_months,
    cast(if(stores.promo2_since <= plan_end, (date - stores.promo2_since) / 7, null) as float)
        as promo2_age_weeks,
    cast(coalesce(
        stores.promo2_since <= date and list_contains(stores.promo2_months, month(date)), false
    ) as boolean) as is_promo2_month,

    -- The calendar.
    cast(day(date) as smallint) as day_of_month,
    cast(last_day(date) - date as smallint) as days_to_month_end,
    cast(dayofyear(date) as smallint) as day_of_year,
    cast(weekofyear(date) as smallint) as week_of_year,
    cast(sin(2 * pi() * dayofyear(date) / 365.25) as float) as year_sin_1,
    cast(cos(2 * pi() * dayofyear(date) / 365.25) as float) as year_cos_1,
    cast(sin(4 * pi() * dayofyear(date) / 365.25) as float) as year_sin_2,
    cast(cos(4 * pi() * dayofyear(date) / 365.25) as float) as year_cos_2,

    -- The plan around the day, in days; `least` leaves nulls out, so that a cap also stands for
    -- what the known plan does not hold.
    cast(least(date - last_open_day, 15) as smallint) as days_since_open,
    cast(least(next_open_day - date, 15) as smallint) as days_until_open,
    cast(if(is_promo, date - promo_start, null) as smallint) as promo_day,
    cast(if(is_promo, promo_end - date, null) as smallint) as promo_days_left,
    cast(least(date - last_promo_end, 30) as smallint) as days_since_promo,
    cast(least(next_promo_start - date, 30) as smallint) as days_until_promo,
    cast(least(date - last_state_holiday, 30) as smallint) as days_since_holiday,
    cast(least(next_state_holiday - date, 30) as smallint) as days_until_holiday,
    cast(if(is_school_holiday, date - school_holiday_start, null) as smallint)
        as school_holiday_day,
    cast(if(is_school_holiday, school_holiday_end - date, null) as smallint)
        as school_holiday_days_left,
    cast(least(date - last_school_holiday_end, 30) as smallint)
        as days_since_school_holiday,
    cast(least(next_school_holiday_start - date, 30) as smallint)
        as days_until_school_holiday,
    cast(open_days_so_far - open_days_at_cutoff as smallint) as open_days_ahead,
    cast(open_days_week_before as smallint) as open_days_week_before,
    cast(promo_days_week_before as smallint) as promo_days_week_before,

    -- Days like this one: same store, weekday and promotion. Logs, relative to the anchor.
    cast(anchor as float) as anchor,
    cast(profile_last - anchor as float) as profile_last,
    cast(profile_median_4 - anchor as float) as profile_median_4,
    cast(profile_median_8 - anchor as float) as profile_median_8,
    cast(profile_median_26 - anchor as float) as profile_median_26,
    cast(profile_mean_52 - anchor as float) as profile_mean_52,
    cast(profile_deviation as float) as profile_deviation,
    cast(profile_customers as float) as profile_customers,
    cast(occurrences as smallint) as profile_occurrences,
    cast(least(cutoff - profile_date, 365) as smallint) as profile_age_days,

    -- The store as of the cutoff: levels relative to the anchor, then what they changed by.
    cast(level_14 - anchor as float) as level_14,
    cast(level_28 - anchor as float) as level_28,
    cast(level_56 - anchor as float) as level_56,
    cast(level_98 - anchor as float) as level_98,
    cast(level_182 - anchor as float) as level_182,
    cast(level_364 - anchor as float) as level_364,
    cast(level_364 - level_year_before as float) as growth_364,
    cast(level_28 - last_years_level_28 as float) as growth_28,
    cast(level_56 - last_years_level_56 as float) as growth_56,
    cast(surprise_13_last_7 as float) as surprise_13_last_7,
    cast(surprise_13_last_14 as float) as surprise_13_last_14,
    cast(surprise_13_last_28 as float) as surprise_13_last_28,
    cast(surprise_26_last_14 as float) as surprise_26_last_14,
    cast(surprise_26_last_28 as float) as surprise_26_last_28,
    cast(surprise_26_last_56 as float) as surprise_26_last_56,
    cast(volatility_98 as float) as volatility_98,
    cast(customers_28 as float) as customers_28,
    cast(customers_28 - customers_182 as float) as customers_trend,
    cast(basket_28 as float) as basket_28,
    cast(basket_28 - basket_182 as float) as basket_trend,
    cast(promo_level_182 - usual_level_182 as float) as promo_lift_182,
    cast(promo_days_14 as smallint) as promo_days_14,

    -- The same season a year before, against the store's level then.
    cast(seasons.log_sales - last_years_level_28 as float) as season_day,
    cast(seasons.around_7 - last_years_level_28 as float) as season_7,
    cast(seasons.around_14 - last_years_level_28 as float) as season_14,
    cast(seasons.around_28 - last_years_level_56 as float) as season_28,
    cast(same_weekday.deviation as float) as deviation_same_weekday,
    cast(same_date.deviation as float) as deviation_same_date,
    cast(same_easter_day.deviation as float) as deviation_same_easter_day,

    -- What is to be learnt; null where it is not known or the store did not sell.
    cast(micro_log_sales / 1e6 as float) as log_sales
from dated
inner join cleaned.stores as stores on stores.store_id = dated.store_id
left join seasons
    on seasons.store_id = dated.store_id and seasons.past_date = dated.date - 364
left join deviations as same_weekday
    on same_weekday.store_id = dated.store_id and same_weekday.past_date = dated.date - 364
left join deviations as same_date
    on
        same_date.store_id = dated.store_id
        and same_date.past_date = cast(dated.date - interval 1 year as date)
left join deviations as same_easter_day
    on
        same_easter_day.store_id = dated.store_id
        and same_easter_day.past_date = dated.last_easter_date
order by dated.cutoff, dated.store_id, dated.date
