-- One row a store of raw.stores, with what its suite looks at.
select
    store_id,
    line,
    store_type,
    assortment,
    competition_distance_m,
    competition_open_since_month,
    competition_open_since_year,
    promo2_since_week,
    promo2_since_year,
    case when promo2 then promo2_since_year is not null and promo_interval is not null end
        as is_promo2_described
from raw.stores
