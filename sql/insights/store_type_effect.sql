-- One row a store type, assortment (or all of them) and measure of an open day: its level, and how
-- far it is from that of the commonest type among stores of the same assortment. Of all assortments:
-- the mean of the assortments' differences, weighted by stores to compare.
with

reference as (
    select store_type as usual_store_type
    from insights.store_levels
    where measure = 'sales'
    group by store_type
    order by count(*) desc, store_type
    limit 1
),

kinds as (
    select
        assortment,
        store_type,
        measure,
        count(*) as stores,
        avg(level) as mean_level,
        count(log_level) as compared_stores,
        avg(log_level) as mean_log_level,
        coalesce(var_samp(log_level), 0) * (count(log_level) - 1) as squares
    from insights.store_levels
    group by assortment, store_type, measure
),

differences as (
    -- Weights of a regression on both traits: stores a x stores b / (stores a + stores b).
    select
        kinds.assortment,
        kinds.store_type,
        kinds.measure,
        kinds.mean_log_level - usual.mean_log_level as difference,
        kinds.compared_stores * usual.compared_stores
        / (kinds.compared_stores + usual.compared_stores) as weight,
        kinds.squares + usual.squares as squares,
        kinds.compared_stores + usual.compared_stores - 2 as freedom
    from kinds
    inner join reference on kinds.store_type <> reference.usual_store_type
    inner join kinds as usual
        on
            usual.store_type = reference.usual_store_type
            and usual.assortment = kinds.assortment
            and usual.measure = kinds.measure
    where kinds.compared_stores > 0 and usual.compared_stores > 0
),

effects as (
    select
        coalesce(assortment, 'all') as assortment,
        store_type,
        measure,
        sum(weight * difference) / sum(weight) as log_effect,
        insights.t_95(sum(freedom))
        * sqrt(sum(squares) / nullif(sum(freedom), 0) / sum(weight)) as margin
    from differences
    group by grouping sets ((assortment, store_type, measure), (store_type, measure))
),

described as (
    select
        coalesce(assortment, 'all') as assortment,
        store_type,
        measure,
        sum(stores) as stores,
        sum(stores * mean_level) / sum(stores) as mean_level
    from kinds
    group by grouping sets ((assortment, store_type, measure), (store_type, measure))
)

select
    described.assortment,
    described.store_type,
    described.measure,
    cast(described.stores as bigint) as stores,
    described.mean_level,
    reference.usual_store_type as compared_with,
    exp(effects.log_effect) - 1 as effect,
    exp(effects.log_effect - effects.margin) - 1 as effect_lo_95,
    exp(effects.log_effect + effects.margin) - 1 as effect_hi_95
from described
cross join reference
left join effects
    on
        effects.assortment = described.assortment
        and effects.store_type = described.store_type
        and effects.measure = described.measure
order by
    described.assortment <> 'all',
    described.assortment,
    list_position(['sales', 'customers', 'basket'], described.measure),
    described.store_type
