-- One row a comparison: how sales and customers of stores in the recurring promotion Promo2 change
-- in the months in which it starts anew, and from joining it on, beyond what stores without it see
-- in the same weeks or months; and how far stores that take part are from those that do not. State
-- holidays are left out, and the store's weekday and promotion are held constant, but for that level
-- of those that take part.
with

days as (
    select
        store_id,
        date,
        ln(sales) as log_sales,
        ln(sales) - avg(ln(sales)) over alike as sales_surprise,
        case
            when customers > 0
                then ln(customers) - avg(case when customers > 0 then ln(customers) end) over alike
        end as customers_surprise
    from cleaned.sales
    where is_open and sales > 0 and state_holiday = 'none'
    window alike as (partition by store_id, isodow(date), is_promo)
),

extent as (
    select min(date) as first_day, max(date) as last_day from days
),

members as (
    select
        store_id,
        store_type,
        assortment,
        promo2_since,
        promo2_months,
        promo2_since is null and promo2_months is null as is_control
    from cleaned.stores
    where store_id in (select store_id from days)
),

-- What stores without Promo2 see on a day is no part of its effect.
control_days as (
    select
        days.date,
        avg(days.sales_surprise) as sales_surprise,
        avg(days.customers_surprise) as customers_surprise
    from days
    inner join members using (store_id)
    where members.is_control
    group by days.date
),

beyond as (
    select
        days.store_id,
        days.date,
        days.sales_surprise - control_days.sales_surprise as sales_surprise,
        days.customers_surprise - control_days.customers_surprise as customers_surprise
    from days
    inner join control_days using (date)
),

-- Stores are compared alike that joined in one week, and those that start anew in the same months
-- from the same month on.
joiners as (
    select
        store_id,
        'week' as grain,
        cast(date_trunc('week', promo2_since) as date) as since,
        null as promo2_months,
        promo2_since - 56 >= first_day and promo2_since + 56 <= last_day as is_inside
    from members
    cross join extent
    where promo2_since is not null
    union all
    select
        store_id,
        'month',
        cast(greatest(
            date_trunc('month', promo2_since - 1) + interval 1 month,
            date_trunc('month', first_day)
        ) as date),
        promo2_months,
        true
    from members
    cross join extent
    where promo2_since is not null and promo2_months is not null
),

cohort_members as (
    select
        *,
        dense_rank() over (order by grain, since, promo2_months, is_inside) as cohort
    from joiners
),

-- Each cohort, and the stores without Promo2 beside it.
compared as (
    select *, false as is_control from cohort_members
    union all by name
    select cohorts.*, members.store_id, true as is_control
    from (select distinct * exclude (store_id) from cohort_members) as cohorts
    cross join members
    where members.is_control
),

store_weeks as (
    select
        store_id,
        cast(date_trunc('week', date) as date) as week,
        sum(sales_surprise) as sales,
        count(*) as sales_days,
        sum(customers_surprise) as customers,
        count(customers_surprise) as customers_days
    from beyond
    group by store_id, date_trunc('week', date)
),

-- A mean of each store around each week, also of weeks in which it did not sell.
around_weeks as (
    select
        store_id,
        weeks.week,
        sum(sales) over ahead_8 / nullif(sum(sales_days) over ahead_8, 0) as sales_ahead_8,
        sum(sales) over behind_8 / nullif(sum(sales_days) over behind_8, 0) as sales_behind_8,
        sum(sales) over ahead_26 / nullif(sum(sales_days) over ahead_26, 0) as sales_ahead_26,
        sum(sales) over behind_26 / nullif(sum(sales_days) over behind_26, 0) as sales_behind_26,
        sum(customers) over ahead_8 / nullif(sum(customers_days) over ahead_8, 0)
            as customers_ahead_8,
        sum(customers) over behind_8 / nullif(sum(customers_days) over behind_8, 0)
            as customers_behind_8,
        sum(customers) over ahead_26 / nullif(sum(customers_days) over ahead_26, 0)
            as customers_ahead_26,
        sum(customers) over behind_26 / nullif(sum(customers_days) over behind_26, 0)
            as customers_behind_26
    from members
    cross join (
        select
            cast(unnest(generate_series(
                min(week) - interval 24 week, max(week) + interval 8 week, interval 1 week
            )) as date) as week
        from store_weeks
    ) as weeks
    left join store_weeks using (store_id, week)
    window
        ahead_8 as (
            partition by store_id order by weeks.week rows between current row and 7 following
        ),
        behind_8 as (
            partition by store_id order by weeks.week rows between 8 preceding and 1 preceding
        ),
        ahead_26 as (
            partition by store_id order by weeks.week rows between current row and 25 following
        ),
        behind_26 as (
            partition by store_id order by weeks.week rows between 26 preceding and 1 preceding
        )
),

-- What the store's change would be, had it joined in that week: of eight weeks at a time, and of
-- half a year.
week_changes as (
    select
        store_id,
        week,
        'weeks from joining' as comparison,
        cast(first_week as varchar) as value,
        lead(sales_ahead_8, first_week) over weeks - sales_behind_8 as sales,
        lead(customers_ahead_8, first_week) over weeks - customers_behind_8 as customers
    from around_weeks
    cross join (select unnest([-24, -16, 0, 8, 16]) as first_week) as bins
    window weeks as (partition by store_id, first_week order by week)
    union all
    select
        store_id,
        week,
        'joins',
        'half a year',
        sales_ahead_26 - sales_behind_26,
        customers_ahead_26 - customers_behind_26
    from around_weeks
),

store_months as (
    select
        store_id,
        cast(date_trunc('month', date) as date) as month,
        sum(sales_surprise) as sales,
        count(*) as sales_days,
        sum(customers_surprise) as customers,
        count(customers_surprise) as customers_days
    from beyond
    group by store_id, date_trunc('month', date)
),

-- From each month on: a store's mean of the months of a round, and of all others.
rounds as (
    select
        members.store_id,
        months.month,
        cohorts.promo2_months,
        list_contains(cohorts.promo2_months, month(months.month)) as is_anew,
        sum(sales) filter (where is_anew) over onwards
        / nullif(sum(sales_days) filter (where is_anew) over onwards, 0) as sales_anew,
        sum(sales) filter (where not is_anew) over onwards
        / nullif(sum(sales_days) filter (where not is_anew) over onwards, 0) as sales_else,
        sum(customers) filter (where is_anew) over onwards
        / nullif(sum(customers_days) filter (where is_anew) over onwards, 0) as customers_anew,
        sum(customers) filter (where not is_anew) over onwards
        / nullif(sum(customers_days) filter (where not is_anew) over onwards, 0)
            as customers_else
    from members
    cross join (select distinct month from store_months) as months
    cross join (
        select distinct promo2_months from joiners where promo2_months is not null
    ) as cohorts
    left join store_months
        on store_months.store_id = members.store_id and store_months.month = months.month
    window onwards as (
        partition by members.store_id, cohorts.promo2_months
        order by months.month
        rows between current row and unbounded following
    )
),

contrasts as (
    select
        'starts anew' as comparison,
        unnest([
            'all rounds',
            list_aggregate(
                list_transform(
                    promo2_months, lambda number: left(monthname(make_date(2000, number, 1)), 3)
                ),
                'string_agg', ', '
            )
        ]) as value,
        cohort,
        store_id,
        is_control,
        sales_anew - sales_else as sales,
        customers_anew - customers_else as customers
    from compared
    inner join rounds using (store_id, promo2_months)
    where rounds.month = compared.since
    union all
    select comparison, value, cohort, store_id, is_control, sales, customers
    from compared
    inner join week_changes using (store_id)
    where
        grain = 'week'
        and week_changes.week = compared.since
        and (is_inside or comparison <> 'joins')
),

treated as (
    select comparison, value, cohort, sales, customers
    from contrasts
    where not is_control and sales is not null
),

-- Stores without Promo2 are a sample too, and serve all that take part: what each of them would
-- show, were it in every cohort.
controls as (
    select
        contrasts.comparison,
        contrasts.value,
        contrasts.store_id,
        sum(contrasts.sales * sizes.stores) / sum(sizes.stores) as sales,
        sum(contrasts.customers * sizes.stores) / sum(sizes.stores) as customers
    from contrasts
    inner join (
        select comparison, value, cohort, count(*) as stores
        from treated
        group by comparison, value, cohort
    ) as sizes using (comparison, value, cohort)
    where contrasts.is_control and contrasts.sales is not null
    group by contrasts.comparison, contrasts.value, contrasts.store_id
),

changes as (
    select
        over_treated.*,
        over_controls.control_stores,
        insights.sum_margin_95(
            over_treated.sales_variance, over_treated.sales_stores - 1,
            over_controls.sales_variance, over_controls.sales_stores - 1
        ) as sales_margin,
        insights.sum_margin_95(
            over_treated.customers_variance, over_treated.customers_stores - 1,
            over_controls.customers_variance, over_controls.customers_stores - 1
        ) as customers_margin
    from (
        select
            comparison, value,
            count(*) as stores,
            avg(sales) as sales,
            avg(customers) as customers,
            count(sales) as sales_stores,
            count(customers) as customers_stores,
            var_samp(sales) / count(sales) as sales_variance,
            var_samp(customers) / count(customers) as customers_variance
        from treated
        group by comparison, value
    ) as over_treated
    inner join (
        select
            comparison, value,
            count(*) as control_stores,
            count(sales) as sales_stores,
            count(customers) as customers_stores,
            var_samp(sales) / count(sales) as sales_variance,
            var_samp(customers) / count(customers) as customers_variance
        from controls
        group by comparison, value
    ) as over_controls using (comparison, value)
),

-- The level of stores that ran Promo2 all along, against stores of their type and assortment.
store_levels as (
    select
        members.store_type,
        members.assortment,
        members.is_control,
        avg(days.log_sales) as log_sales
    from members
    inner join days using (store_id)
    cross join extent
    where members.is_control or members.promo2_since <= extent.first_day
    group by members.store_id, members.store_type, members.assortment, members.is_control
),

strata as (
    select
        store_type,
        assortment,
        count(*) filter (where not is_control) as stores,
        count(*) filter (where is_control) as control_stores,
        avg(log_sales) filter (where not is_control)
        - avg(log_sales) filter (where is_control) as gap,
        coalesce(var_pop(log_sales) filter (where not is_control), 0)
        * count(*) filter (where not is_control)
        + coalesce(var_pop(log_sales) filter (where is_control), 0)
        * count(*) filter (where is_control) as squares
    from store_levels
    group by store_type, assortment
    having count(distinct is_control) = 2
),

level as (
    select
        'takes part' as comparison,
        'level' as value,
        sum(stores) as stores,
        sum(control_stores) as control_stores,
        sum(stores * gap) / sum(stores) as sales,
        sum(stores) + sum(control_stores) - 2 * count(*) as freedom,
        insights.t_95(freedom) * sqrt(
            sum(squares) / nullif(freedom, 0)
            * sum(stores ** 2 * (1 / stores + 1 / control_stores)) / sum(stores) ** 2
        ) as sales_margin
    from strata
    having count(*) > 0
),

told as (
    select
        comparison, value, stores, control_stores, sales, sales_margin, customers, customers_margin
    from changes
    union all
    select comparison, value, stores, control_stores, sales, sales_margin, null, null
    from level
)

select
    comparison,
    value,
    cast(stores as bigint) as stores,
    cast(control_stores as bigint) as control_stores,
    exp(sales) - 1 as sales_effect,
    exp(sales - sales_margin) - 1 as sales_lo_95,
    exp(sales + sales_margin) - 1 as sales_hi_95,
    exp(customers) - 1 as customers_effect,
    exp(customers - customers_margin) - 1 as customers_lo_95,
    exp(customers + customers_margin) - 1 as customers_hi_95
from told
order by
    list_position(['starts anew', 'joins', 'weeks from joining', 'takes part'], comparison),
    value <> 'all rounds',
    try_cast(value as integer),
    value
