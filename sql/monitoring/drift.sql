-- One row a measure of the newest four weeks (open days for sales, customers and basket): what it is
-- and usually is, and how many standard deviations of other four-week blocks it is away. Levels are
-- changes against the twelve weeks before each block, in logs, so that growth is no drift. What comes
-- every year is none either: after about two years each block is held against the one 13 blocks
-- earlier, and usual is what those weeks were a year ago plus the mean change since. Until then a
-- season that comes for the first time looks like drift; later what was odd may be told once more
-- a year after.
with

span as (
    select min(date) as first_day, max(date) as last_day from cleaned.sales
),

days as (
    -- Block 0 is the newest. A block of 28 days holds each weekday four times and, where promotions
    -- alternate, two weeks of them.
    select
        cast((span.last_day - sales.date) // 28 as integer) as block,
        sales.store_id,
        sales.date,
        not sales.is_absent as is_reported,
        sales.is_open and sales.sales > 0 as is_selling,
        sales.is_open,
        sales.is_promo,
        sales.state_holiday <> 'none' as is_state_holiday,
        sales.is_school_holiday,
        case when sales.is_open and sales.sales > 0 then ln(sales.sales) end as log_sales,
        case when sales.is_open and sales.sales > 0 and sales.customers > 0
            then ln(sales.customers) end as log_customers
    from cleaned.sales as sales
    cross join span
    where (span.last_day - sales.date) // 28 < (span.last_day - span.first_day + 1) // 28
),

store_blocks as (
    select
        block,
        store_id,
        avg(log_sales) as log_sales,
        avg(log_customers) as log_customers,
        avg(log_sales - log_customers) as log_basket
    from days
    group by block, store_id
),

store_changes as (
    select
        block,
        log_sales - avg(log_sales) over before as sales_change,
        log_customers - avg(log_customers) over before as customers_change,
        log_basket - avg(log_basket) over before as basket_change
    from store_blocks
    window before as (
        partition by store_id order by block range between 1 following and 3 following
    )
),

levels as (
    select
        block,
        unnest(['sales', 'customers', 'basket']) as measure,
        unnest([avg(sales_change), avg(customers_change), avg(basket_change)]) as value
    from store_changes
    group by block
),

shares as (
    select
        block,
        unnest([
            'reported days', 'open days', 'promotion days', 'state holidays', 'school holidays',
            'open days without sales'
        ]) as measure,
        unnest([
            avg(cast(is_reported as integer)),
            avg(cast(is_open as integer)) filter (where is_reported),
            avg(cast(is_promo as integer)) filter (where is_reported),
            avg(cast(is_state_holiday as integer)) filter (where is_reported),
            avg(cast(is_school_holiday as integer)) filter (where is_reported),
            avg(cast(not is_selling as integer)) filter (where is_open)
        ]) as value
    from days
    group by block
),

measured as (
    select 'change of level, logs' as unit, * from levels
    union all by name
    select 'share of days' as unit, * from shares
),

beside_year as (
    -- 13 blocks are 52 weeks, which leave weekdays in place and most holidays within their block.
    select
        measured.*,
        earlier.value as year_before,
        count(measured.value - earlier.value) filter (where measured.block > 0) over blocks
        >= $fewest_years_apart
        and count(earlier.value) filter (where measured.block = 0) over blocks > 0 as is_yearly
    from measured
    left join measured as earlier
        on earlier.measure = measured.measure and earlier.block = measured.block + 13
    window blocks as (partition by measured.measure)
),

moved as (
    select *, if(is_yearly, year_before, 0) as expected, value - expected as change
    from beside_year
),

compared as (
    select
        measure,
        unit,
        if(is_yearly, 'the same weeks a year before', 'the blocks before') as compared_with,
        any_value(value) filter (where block = 0) as newest,
        any_value(expected) filter (where block = 0) + avg(change) filter (where block > 0)
            as usual,
        stddev_samp(change) filter (where block > 0) as deviation,
        count(change) filter (where block > 0) as blocks
    from moved
    group by measure, unit, is_yearly
)

select
    measure,
    unit,
    compared_with,
    newest,
    usual,
    deviation,
    blocks,
    (newest - usual) / nullif(deviation, 0) as deviations_away,
    -- The fewer blocks, the more their mean and deviation are guesses: $most_deviations is a list by
    -- their number. A share that never changed before may change by a few days of a few stores.
    blocks >= $fewest_blocks
    and newest is not null
    and abs(newest - usual)
    > greatest(
        $most_deviations[least(blocks, len($most_deviations))] * deviation,
        if(unit = 'share of days', $least_share, 1e-9)
    ) as is_drift
from compared
order by is_drift desc, abs(deviations_away) desc nulls last, measure
