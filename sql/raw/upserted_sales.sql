-- Writes the accepted rows of train.csv; a store's day that is already there is replaced.
merge into raw.sales as loaded
using (
    select
        store_id, date,
        sales, customers,
        is_open, is_promo, state_holiday, is_school_holiday,
        $file as file, line, $load_id as load_id
    from judged_rows
    where reason is null
    order by store_id, date
) as accepted
using (store_id, date)
when matched then update
when not matched then insert
