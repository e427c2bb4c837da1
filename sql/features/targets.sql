-- One row a target (cutoff, store, date) to learn from or to be judged by: weekly cutoffs, each
-- with the days up to SALES_HORIZON ahead whose sales are known by now. Windows beyond
-- SALES_TRAINING_ROWS rows are left out by a hash of their keys; the cutoffs of the backtest keep
-- every day, and is_training tells which of theirs are learnt from.
with

span as (
    select min(date) as first_day, max(date) as last_day from cleaned.sales
),

openings as (
    select store_id, min(date) as opening_day from cleaned.sales where is_open group by store_id
),

dated_cutoffs as (
    select unnest(cast($backtest_cutoffs as date[])) as cutoff, false as is_weekly
    union all
    select cast(unnest(generate_series(
        -- The same weekday as the last day, after the first $warm_up days.
        last_day - to_days(cast(
            7 * floor((last_day - first_day - $warm_up) / 7) as integer
        )),
        last_day - interval 1 day,
        interval 7 day
    )) as date), true
    from span
),

cutoffs as (
    select cutoff, bool_or(is_weekly) as is_weekly from dated_cutoffs group by cutoff
),

candidates as (
    select
        cutoffs.cutoff,
        cutoffs.is_weekly,
        sales.store_id,
        sales.date,
        sales.is_open,
        sales.is_open and sales.sales > 0 as is_selling,
        list_contains(cast($backtest_cutoffs as date[]), cutoffs.cutoff) as is_backtest,
        -- Whole windows are drawn, since a network learns from all days of one at once.
        hash(cutoffs.cutoff, sales.store_id) % 1_000_000 / 1e6 as draw
    from cutoffs
    inner join cleaned.sales as sales
        on
            sales.date > cutoffs.cutoff
            and sales.date <= cutoffs.cutoff + cast($horizon as integer)
    -- Nothing was forecast for a store before it opened, and a new store leaves old windows alone.
    inner join openings
        on openings.store_id = sales.store_id and openings.opening_day <= cutoffs.cutoff
    where is_backtest or is_selling
),

share as (
    -- Open days, not selling days: what was sold later must not decide what is learnt from. In
    -- steps of a sixth, so that a new week of sales seldom changes which windows are drawn.
    select 2 ** (floor(4 * log2($training_rows / count(*))) / 4) as share
    from candidates
    where is_open and is_weekly
)

select
    candidates.cutoff,
    candidates.store_id,
    candidates.date,
    -- A window that falls between the weekly cutoffs is judged and not learnt from: once it is no
    -- longer among the newest its rows are gone, and what other windows learnt would change.
    candidates.is_weekly and candidates.is_selling and candidates.draw < share.share
        as is_training
from candidates
cross join share
where candidates.is_backtest or candidates.draw < share.share
