-- One row a store of raw.stores or cleaned.stores, with what the suite of the latter looks at.
select
    coalesce(cleaned.store_id, raw.store_id) as store_id,
    raw.store_id as delivered_store_id,
    cleaned.store_id as cleaned_store_id,
    cleaned.store_type,
    cleaned.assortment,
    cleaned.competition_distance_m,
    year(cleaned.competition_open_since) as competition_year,
    year(cleaned.promo2_since) as promo2_year,
    list_min(cleaned.promo2_months) as first_promo2_month,
    list_max(cleaned.promo2_months) as last_promo2_month
from cleaned.stores as cleaned
full join raw.stores as raw on raw.store_id = cleaned.store_id
