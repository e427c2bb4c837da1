-- Writes the accepted rows of store.csv; a store that is already there is replaced.
merge into raw.stores as loaded
using (
    select
        store_id,
        store_type, assortment,
        competition_distance_m, competition_open_since_month, competition_open_since_year,
        promo2, promo2_since_week, promo2_since_year, promo_interval,
        $file as file, line, $load_id as load_id
    from judged_rows
    where reason is null
) as accepted
using (store_id)
when matched then update
when not matched then insert
