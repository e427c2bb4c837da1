-- One row a planned store day or row of features.future, with what its suite looks at.
with

known as (
    select max(date) as newest_day from cleaned.sales
),

rows as (
    select
        cutoff,
        store_id,
        date,
        h,
        anchor,
        log_sales,
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
    from features.future
)

select
    store_id,
    date,
    plan.date as planned_date,
    rows.cutoff,
    known.newest_day,
    cast(rows.h as bigint) as h,
    rows.date - rows.cutoff as days_ahead,
    cast($horizon as bigint) as horizon,
    rows.anchor,
    rows.log_sales,
    coalesce(isfinite(rows.largest) and isfinite(rows.smallest), true) as is_finite
from rows
full join cleaned.plan as plan using (store_id, date)
cross join known
