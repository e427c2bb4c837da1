-- One row a store and day, history and plan together: what is known ahead of a day, and its
-- sales where they are known. Logs are whole millionths, since sums of integers do not depend
-- on the order in which threads add them: the same input gives the same bits.
with

reported as (
    select store_id, max(date) as last_day from cleaned.sales where not is_absent group by store_id
),

told_days as (
    -- Of the days after a store's last one nobody has told yet. Until two weeks have passed, after
    -- which the plan takes it for closed, it has opened as it did on the same weekday before.
    select
        sales.*,
        sales.date > reported.last_day and reported.last_day + 14 > span.last_day as is_late
    from cleaned.sales as sales
    cross join (select max(date) as last_day from cleaned.sales) as span
    left join reported using (store_id)
),

known_days as (
    select
        store_id,
        date,
        case
            when is_late
                then coalesce(last_value(
                    if(is_late or state_holiday <> 'none', null, is_open) ignore nulls
                ) over (partition by store_id, isodow(date) order by date), false)
            else is_open
        end as is_open,
        is_promo,
        state_holiday,
        is_school_holiday,
        sales,
        customers
    from told_days
    union all by name
    select store_id, date, is_open, is_promo, state_holiday, is_school_holiday
    from cleaned.plan
),

measured as (
    select
        *,
        cast(isodow(date) as tinyint) as weekday,
        case when is_open and sales > 0 then cast(round(1e6 * ln(sales)) as bigint) end
            as micro_log_sales,
        case
            when is_open and sales > 0 and customers > 0
                then cast(round(1e6 * ln(customers)) as bigint)
        end as micro_log_customers
    from known_days
),

openings as (
    select
        *,
        max(date) filter (where is_open) over before_today as last_open_day,
        min(date) filter (where is_open) over after_today as next_open_day,
        lag(is_promo, 1, false) over days as was_promo,
        lead(is_promo) over days as will_be_promo,
        lag(is_school_holiday, 1, false) over days as was_school_holiday,
        lead(is_school_holiday) over days as will_be_school_holiday
    from measured
    window
        days as (partition by store_id order by date),
        before_today as (days rows between unbounded preceding and 1 preceding),
        after_today as (days rows between 1 following and unbounded following)
),

changes as (
    select
        *,
        -- Whether a run goes on after the last known day is not known, so nothing ends there.
        is_promo and not was_promo as starts_promo,
        is_promo and not will_be_promo as ends_promo,
        is_school_holiday and not was_school_holiday as starts_school_holiday,
        is_school_holiday and not will_be_school_holiday as ends_school_holiday
    from openings
)

select
    store_id,
    date,
    weekday,
    is_open,
    is_promo,
    state_holiday,
    is_school_holiday,
    sales,
    micro_log_sales,
    micro_log_customers,
    last_open_day,
    next_open_day,
    max(date) filter (where starts_promo) over to_today as promo_start,
    max(date) filter (where ends_promo) over before_today as last_promo_end,
    min(date) filter (where starts_promo) over after_today as next_promo_start,
    min(date) filter (where ends_promo) over from_today as promo_end,
    max(date) filter (where state_holiday <> 'none') over before_today as last_state_holiday,
    min(date) filter (where state_holiday <> 'none') over after_today as next_state_holiday,
    max(date) filter (where starts_school_holiday) over to_today as school_holiday_start,
    max(date) filter (where ends_school_holiday) over before_today as last_school_holiday_end,
    min(date) filter (where starts_school_holiday) over after_today as next_school_holiday_start,
    min(date) filter (where ends_school_holiday) over from_today as school_holiday_end,
    count(*) filter (where is_open) over to_today as open_days_so_far,
    count(*) filter (where is_open) over week_before as open_days_week_before,
    count(*) filter (where is_promo) over week_before as promo_days_week_before
from changes
window
    days as (partition by store_id order by date),
    before_today as (days rows between unbounded preceding and 1 preceding),
    to_today as (days rows between unbounded preceding and current row),
    from_today as (days rows between current row and unbounded following),
    after_today as (days rows between 1 following and unbounded following),
    week_before as (days rows between 7 preceding and 1 preceding)
