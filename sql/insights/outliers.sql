-- One row a flagged day: sales far from the store's usual for that weekday and promotion, and the
-- likeliest reason. `share_of_other_days` is the share of the days not flagged that the same reason
-- would fit, given their sign: what fits most days explains nothing.
with

selling_days as (
    select
        store_id,
        date,
        isodow(date) as weekday,
        sales,
        case when customers > 0 then ln(sales / customers) end as log_basket,
        is_promo,
        is_outlier,
        outlier_score,
        coalesce(outlier_score > 0, false) as is_above,
        coalesce(outlier_score < 0, false) as is_below,
        date - lag(date) over in_store - 1 as closed_before,
        lead(date) over in_store - date - 1 as closed_after
    from cleaned.sales
    where is_open and sales > 0
    window in_store as (partition by store_id order by date)
),

closures as (
    -- The last reopening and the next closure of a week or more.
    select
        *,
        max(date) filter (where closed_before >= 7) over (
            partition by store_id order by date
            rows between unbounded preceding and current row
        ) as reopened_on,
        min(date) filter (where closed_after >= 7) over (
            partition by store_id order by date
            rows between current row and unbounded following
        ) as closes_after
    from selling_days
),

chain_days as (
    select
        date,
        avg(cast(is_promo as integer)) > 0.5 as is_promo,
        count(*) as stores,
        count(*) filter (where is_outlier and is_above) as flagged_above,
        count(*) filter (where is_outlier and is_below) as flagged_below
    from selling_days
    group by date
),

near_holidays as (
    select distinct
        store_id,
        cast(unnest(generate_series(date - interval 3 day, date + interval 3 day, interval 1 day))
            as date) as date
    from cleaned.sales
    where state_holiday <> 'none'
),

carnival as (
    -- The six days that end on the Tuesday before Lent.
    select distinct cast(unnest(generate_series(
        date - interval 53 day, date - interval 48 day, interval 1 day
    )) as date) as date
    from cleaned.sales
    where state_holiday = 'easter' and isodow(date) = 1
),

usual_baskets as (
    select store_id, median(log_basket) as usual_log_basket from selling_days group by store_id
),

usual_sales as (
    select store_id, weekday, is_promo, median(sales) as usual_sales
    from selling_days
    group by store_id, weekday, is_promo
),

reasoned as (
    select
        days.store_id,
        days.date,
        days.weekday,
        days.sales,
        days.is_promo,
        days.is_outlier,
        days.outlier_score,
        case
            when
                days.is_below and month(days.date) = 12 and day(days.date) in (24, 31)
                then 'half day before a feast'
            when
                days.is_above
                and (month(days.date) = 12 or month(days.date) = 11 and day(days.date) >= 25)
                then 'Christmas shopping'
            when days.is_below and carnival.date is not null then 'carnival'
            when days.is_promo <> chain_days.is_promo then 'promotion unlike the chain''s'
            -- Half as much again as usual, or two thirds of it.
            when
                days.is_above
                and days.log_basket - usual_baskets.usual_log_basket > ln(1.5)
                or days.is_below
                and days.log_basket - usual_baskets.usual_log_basket < -ln(1.5)
                then 'unusual basket'
            when days.date - days.reopened_on < 14 then 'reopened within a fortnight'
            when days.closes_after - days.date < 7 then 'closing within a week'
            when near_holidays.date is not null then 'holiday within three days'
            when
                chain_days.stores >= 4
                and case
                    when days.is_above then chain_days.flagged_above
                    when days.is_below then chain_days.flagged_below
                end - cast(days.is_outlier as integer)
                >= greatest(3, 0.02 * chain_days.stores)
                then 'other stores too'
            else 'unexplained'
        end as reason
    from closures as days
    inner join chain_days using (date)
    left join near_holidays
        on near_holidays.store_id = days.store_id and near_holidays.date = days.date
    left join carnival on carnival.date = days.date
    left join usual_baskets on usual_baskets.store_id = days.store_id
),

other_days as (
    select
        reason,
        count(*) / sum(count(*)) over () as share_of_other_days
    from reasoned
    where not is_outlier
    group by reason
)

select
    flagged.store_id,
    flagged.date,
    cast(flagged.weekday as tinyint) as weekday,
    flagged.sales,
    usual_sales.usual_sales,
    flagged.sales / usual_sales.usual_sales - 1 as deviation,
    flagged.outlier_score,
    flagged.is_promo,
    flagged.reason,
    coalesce(other_days.share_of_other_days, 0) as share_of_other_days,
    (select count(*) from selling_days) as selling_days
from reasoned as flagged
inner join usual_sales using (store_id, weekday, is_promo)
left join other_days using (reason)
where flagged.is_outlier
order by abs(flagged.outlier_score) desc, flagged.store_id, flagged.date
