-- One row an assortment, store type (or all of them) and measure of an open day: its level, and how
-- far it is from that of the basic assortment (or the commonest, if no store has that) among stores
-- of the same type. Of all types: the mean of the types' differences, weighted by stores to compare.
with

reference as (
    select assortment as usual_assortment
    from insights.store_levels
    where measure = 'sales'
    group by assortment
    order by assortment <> 'basic', count(*) desc, assortment
    limit 1
),

kinds as (
    select
        store_type,
        assortment,
        measure,
        count(*) as stores,
        avg(level) as mean_level,
        count(log_level) as compared_stores,
        avg(log_level) as mean_log_level,
        coalesce(var_samp(log_level), 0) * (count(log_level) - 1) as squares
    from insights.store_levels
    group by store_type, assortment, measure
),

differences as (
    -- Weights of a regression on both traits: stores a x stores b / (stores a + stores b).
    select
        kinds.store_type,
        kinds.assortment,
        kinds.measure,
        kinds.mean_log_level - usual.mean_log_level as difference,
        kinds.compared_stores * usual.compared_stores
        / (kinds.compared_stores + usual.compared_stores) as weight,
        kinds.squares + usual.squares as squares,
        kinds.compared_stores + usual.compared_stores - 2 as freedom
    from kinds
    inner join reference on kinds.assortment <> reference.usual_assortment
    inner join kinds as usual
        on
            usual.assortment = reference.usual_assortment
            and usual.store_type = kinds.store_type
            and usual.measure = kinds.measure
    where kinds.compared_stores > 0 and usual.compared_stores > 0
),

effects as (
    select
        coalesce(store_type, 'all') as store_type,
        assortment,
        measure,
        sum(weight * difference) / sum(weight) as log_effect,
        insights.t_95(sum(freedom))
        * sqrt(sum(squares) / nullif(sum(freedom), 0) / sum(weight)) as margin
    from differences
    group by grouping sets ((store_type, assortment, measure), (assortment, measure))
),

described as (
    select
        coalesce(store_type, 'all') as store_type,
        assortment,
        measure,
        sum(stores) as stores,
        sum(stores * mean_level) / sum(stores) as mean_level
    from kinds
    group by grouping sets ((store_type, assortment, measure), (assortment, measure))
)

select
    described.store_type,
    described.assortment,
    described.measure,
    cast(described.stores as bigint) as stores,
    described.mean_level,
    reference.usual_assortment as compared_with,
    exp(effects.log_effect) - 1 as effect,
    exp(effects.log_effect - effects.margin) - 1 as effect_lo_95,
    exp(effects.log_effect + effects.margin) - 1 as effect_hi_95
from described
cross join reference
left join effects
    on
        effects.store_type = described.store_type
        and effects.assortment = described.assortment
        and effects.measure = described.measure
order by
    described.store_type <> 'all',
    described.store_type,
    list_position(['sales', 'customers', 'basket'], described.measure),
    described.assortment
