-- One row a cutoff and store of features.training: whether its rows are in order.
-- A row lies `h` days after its cutoff, within the horizon, and what it tells of former sales is
-- no younger than the cutoff. Infinite values are counted over all features at once.
with

judged as (
    select
        cutoff,
        store_id,
        date,
        h,
        profile_age_days,
        is_training and log_sales is null as is_unlabelled,
        date - cutoff <> h as is_misplaced,
        greatest(*columns(
            * exclude (
                cutoff, store_id, date, is_training, is_open, is_promo, state_holiday,
                is_school_holiday, store_type, assortment, is_promo2_month
            )
        )) as largest,
        least(*columns(
            * exclude (
                cutoff, store_id, date, is_training, is_open, is_promo, state_holiday,
                is_school_holiday, store_type, assortment, is_promo2_month
            )
        )) as smallest
    from features.training
)

select
    cutoff,
    store_id,
    min(h) as first_h,
    max(h) as last_h,
    cast($horizon as bigint) as horizon,
    count(*) - count(distinct date) as repeated_days,
    count(*) filter (where is_misplaced) as misplaced_days,
    count(*) filter (where not isfinite(largest) or not isfinite(smallest)) as infinite_days,
    count(*) filter (where is_unlabelled) as unlabelled_days,
    min(profile_age_days) as profile_age_days
from judged
group by cutoff, store_id
