-- Writes the accepted rows of train.csv; a store's day that is already there is replaced, and keeps
-- the load that it came with if it says the same. A file that is judged again counts as of its first
-- load: what came from it, or from a later one that corrected it, stays.
merge into raw.sales as loaded
using (
    select
        store_id, date,
        sales, customers,
        is_open, is_promo, state_holiday, is_school_holiday,
        $file as file, line, $own_load_id as load_id
    from judged_rows
    where reason is null
    order by store_id, date
) as accepted
using (store_id, date)
when matched
    and loaded.load_id < $own_load_id
    and (
        loaded.sales, loaded.customers,
        loaded.is_open, loaded.is_promo, loaded.state_holiday, loaded.is_school_holiday
    ) is distinct from (
        accepted.sales, accepted.customers,
        accepted.is_open, accepted.is_promo, accepted.state_holiday, accepted.is_school_holiday
    )
    then update
when not matched then insert
