-- One row a comparison: how sales and customers of stores in the recurring promotion Promo2 change
-- in the months in which it starts anew, and from joining it on, beyond what stores without it see
-- in the same weeks or months; and how far stores that take part are from those that do not. State
-- holidays are left out, and the store's weekday and promotion are held constant.
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

store_periods as (
    select
        store_id,
        'month' as grain,
        cast(date_trunc('month', date) as date) as period,
        sum(sales_surprise) as sales,
        count(*) as sales_days,
        sum(customers_surprise) as customers,
        count(customers_surprise) as customers_days
    from beyond
    group by store_id, date_trunc('month', date)
    union all
    select
        store_id,
        'week',
        cast(date_trunc('week', date) as date),
        sum(sales_surprise),
        count(*),
        sum(customers_surprise),
        count(customers_surprise)
    from beyond
    group by store_id, date_trunc('week', date)
),

-- Stores that joined on one day with one round are compared alike.
cohorts as (
    select distinct promo2_since, promo2_months from members where promo2_since is not null
),

periods as (
    select distinct grain, period from store_periods
),

placed as (
    select
        cohorts.promo2_since,
        cohorts.promo2_months,
        periods.grain,
        periods.period,
        (periods.period - cast(date_trunc('week', cohorts.promo2_since) as date)) / 7 as week
    from cohorts
    cross join periods
),

-- Which periods are compared (`is_after`) with which (not `is_after`).
windows as (
    select
        promo2_since,
        promo2_months,
        grain,
        period,
        'starts anew' as comparison,
        'all rounds' as value,
        list_contains(promo2_months, month(period)) as is_after
    from placed
    where grain = 'month' and period >= promo2_since and promo2_months is not null
    union all
    select
        promo2_since,
        promo2_months,
        grain,
        period,
        'starts anew',
        list_aggregate(
            list_transform(
                promo2_months, lambda number: left(monthname(make_date(2000, number, 1)), 3)
            ),
            'string_agg', ', '
        ),
        list_contains(promo2_months, month(period))
    from placed
    where grain = 'month' and period >= promo2_since and promo2_months is not null
    union all
    select promo2_since, promo2_months, grain, period, 'joins', 'half a year', week >= 0
    from placed
    cross join extent
    where
        grain = 'week'
        and week >= -26
        and week < 26
        and promo2_since - 56 >= first_day
        and promo2_since + 56 <= last_day
    union all
    -- Eight weeks at a time, against the eight weeks before the store joined.
    select
        promo2_since,
        promo2_months,
        grain,
        period,
        'weeks from joining',
        cast(bins.first_week as varchar),
        week >= bins.first_week and week < bins.first_week + 8
    from placed
    cross join (select unnest([-24, -16, 0, 8, 16]) as first_week) as bins
    where
        grain = 'week'
        and ((week >= -8 and week < 0)
            or (week >= bins.first_week and week < bins.first_week + 8))
),

contrasts as (
    select
        windows.comparison,
        windows.value,
        windows.promo2_since,
        windows.promo2_months,
        members.store_id,
        members.is_control,
        sum(sales) filter (where is_after) / nullif(sum(sales_days) filter (where is_after), 0)
        - sum(sales) filter (where not is_after)
        / nullif(sum(sales_days) filter (where not is_after), 0) as sales,
        sum(customers) filter (where is_after)
        / nullif(sum(customers_days) filter (where is_after), 0)
        - sum(customers) filter (where not is_after)
        / nullif(sum(customers_days) filter (where not is_after), 0) as customers
    from windows
    inner join store_periods using (grain, period)
    inner join members
        on
            members.store_id = store_periods.store_id
            and (
                members.is_control
                or (
                    members.promo2_since = windows.promo2_since
                    and members.promo2_months is not distinct from windows.promo2_months
                )
            )
    group by
        windows.comparison, windows.value, windows.promo2_since, windows.promo2_months,
        members.store_id, members.is_control
),

treated as (
    select comparison, value, promo2_since, promo2_months, sales, customers
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
        select comparison, value, promo2_since, promo2_months, count(*) as stores
        from treated
        group by comparison, value, promo2_since, promo2_months
    ) as sizes
        on
            sizes.comparison = contrasts.comparison
            and sizes.value = contrasts.value
            and sizes.promo2_since = contrasts.promo2_since
            and sizes.promo2_months is not distinct from contrasts.promo2_months
    where contrasts.is_control and contrasts.sales is not null
    group by contrasts.comparison, contrasts.value, contrasts.store_id
),

changes as (
    select
        over_treated.*,
        over_controls.control_stores,
        sqrt(over_treated.sales_variance + over_controls.sales_variance) as sales_error,
        sqrt(over_treated.customers_variance + over_controls.customers_variance)
            as customers_error
    from (
        select
            comparison, value,
            count(*) as stores,
            avg(sales) as sales,
            avg(customers) as customers,
            var_samp(sales) / count(sales) as sales_variance,
            var_samp(customers) / count(customers) as customers_variance
        from treated
        group by comparison, value
    ) as over_treated
    inner join (
        select
            comparison, value,
            count(*) as control_stores,
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
        sqrt(
            sum(squares) / nullif(sum(stores) + sum(control_stores) - 2 * count(*), 0)
            * sum(stores ** 2 * (1 / stores + 1 / control_stores)) / sum(stores) ** 2
        ) as sales_error
    from strata
    having count(*) > 0
),

told as (
    select
        comparison, value, stores, control_stores, sales, sales_error, customers, customers_error
    from changes
    union all
    select comparison, value, stores, control_stores, sales, sales_error, null, null
    from level
)

select
    comparison,
    value,
    cast(stores as bigint) as stores,
    cast(control_stores as bigint) as control_stores,
    exp(sales) - 1 as sales_effect,
    exp(sales - 1.96 * sales_error) - 1 as sales_lo_95,
    exp(sales + 1.96 * sales_error) - 1 as sales_hi_95,
    exp(customers) - 1 as customers_effect,
    exp(customers - 1.96 * customers_error) - 1 as customers_lo_95,
    exp(customers + 1.96 * customers_error) - 1 as customers_hi_95
from told
order by
    list_position(['starts anew', 'joins', 'weeks from joining', 'takes part'], comparison),
    value <> 'all rounds',
    try_cast(value as integer),
    value
