-- One row a store that has sales: whether its plan covers the horizon, and on how many days of it
-- the store opens, if it sold in the newest four weeks. `derived_open_days` counts those of which no
-- file says whether it opens, if there are two weeks of them, since fewer may be a holiday; of a store
-- whose plan was delivered it is all days: what a file closes is no fault of the plan.
with

cutoff as (
    select max(date) as cutoff from cleaned.sales
),

stores as (
    select
        sales.store_id,
        bool_or(sales.sales > 0 and sales.date > cutoff.cutoff - 28) as sells
    from cleaned.sales as sales
    cross join cutoff
    group by sales.store_id
)

select
    stores.store_id,
    count(distinct plan.date) as planned_days,
    cast($horizon as bigint) as horizon,
    case when stores.sells then count(*) filter (where plan.is_open) end as open_days,
    case
        when not stores.sells then null
        when count(*) filter (where plan.is_derived or plan.is_open_inferred) < 14 then count(*)
        else
            count(*) filter (where plan.is_open and (plan.is_derived or plan.is_open_inferred))
    end as derived_open_days
from stores
left join cleaned.plan as plan using (store_id)
group by stores.store_id, stores.sells
order by stores.store_id
