-- Writes the accepted rows of test.csv; a store's day that is already there is replaced. A file
-- that is judged again counts as of its first load: what came from it, or from a later one, stays.
merge into raw.plan as loaded
using (
    select
        id, store_id, date,
        is_open, is_promo, state_holiday, is_school_holiday,
        $file as file, line, $own_load_id as load_id
    from judged_rows
    where reason is null
    order by store_id, date
) as accepted
using (store_id, date)
when matched and loaded.load_id < $own_load_id then update
when not matched then insert
