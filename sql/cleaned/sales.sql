-- One row a store and day, without holes: from the first delivered day of the chain to the last
-- one that enough stores tell of (raw/last_day).
-- A day that no file speaks of is absent: closed, without sales, and told apart by is_absent.
with

span as (
    select min(date) as first_day, cast($last_day as date) as last_day from raw.sales
),

days as (
    select cast(unnest(generate_series(first_day, last_day, interval 1 day)) as date) as date
    from span
),

stores as (
    select store_id from raw.sales
    union
    -- A store that is yet to open is planned before it sells: absent on all days until then.
    select plan.store_id from raw.plan as plan cross join span where plan.date > span.last_day
),

calendar as (
    select stores.store_id, days.date
    from stores
    cross join days
),

chain_promotions as (
    select date, avg(cast(is_promo as integer)) > 0.5 as is_promo from raw.sales group by date
),

delivered as (
    select
        calendar.store_id,
        calendar.date,
        sales.store_id is null as is_absent,
        coalesce(sales.is_open, false) or coalesce(sales.sales, 0) > 0 as is_open,
        coalesce(sales.sales, 0) as sales,
        case when sales.store_id is null then 0 else sales.customers end as customers,
        -- Promotions run in the whole chain, so an absent day takes the chain's.
        coalesce(sales.is_promo, chain_promotions.is_promo, false) as is_promo,
        case sales.state_holiday
            when 'a' then 'public' when 'b' then 'easter' when 'c' then 'christmas' else 'none'
        end as state_holiday,
        coalesce(sales.is_school_holiday, false) as is_school_holiday,
        sales.store_id is not null and sales.is_open is null as is_open_inferred,
        sales.is_open is not null and not sales.is_open and sales.sales > 0 as is_open_corrected
    from calendar
    left join raw.sales as sales using (store_id, date)
    left join chain_promotions using (date)
),

usual as (
    select
        store_id,
        isodow(date) as weekday,
        is_promo,
        median(ln(sales)) as usual_log_sales,
        mad(ln(sales)) as spread
    from delivered
    where is_open and sales > 0
    group by store_id, isodow(date), is_promo
),

robust_scores as (
    select
        delivered.store_id,
        delivered.date,
        -- 0.6745 makes the median absolute deviation comparable with a standard deviation.
        0.6745 * (ln(delivered.sales) - usual.usual_log_sales) / nullif(usual.spread, 0)
            as outlier_score
    from delivered
    inner join usual
        on
            usual.store_id = delivered.store_id
            and usual.weekday = isodow(delivered.date)
            and usual.is_promo = delivered.is_promo
    where delivered.is_open and delivered.sales > 0
)

select
    delivered.store_id,
    delivered.date,
    delivered.sales,
    delivered.customers,
    delivered.is_open,
    delivered.is_promo,
    delivered.state_holiday,
    delivered.is_school_holiday,
    delivered.is_absent,
    delivered.is_open_inferred,
    delivered.is_open_corrected,
    robust_scores.outlier_score,
    coalesce(abs(robust_scores.outlier_score) > $outlier_score, false) as is_outlier
from delivered
left join robust_scores using (store_id, date)
order by delivered.store_id, delivered.date
