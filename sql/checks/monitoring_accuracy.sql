-- One row a horizon week: the ensemble's newest week of sales as it was forecast so far ahead, beside
-- all weeks of the backtest. A week is outside if it is worse than each of those and further from
-- their median than $most_deviations robust deviations (of the log of the error, of the coverage).
-- Errors lower, and intervals that hold more, than ever are not outside: nobody is harmed.
with

backtest_weeks as (
    select ln(rmspe) as log_rmspe, coverage_80, coverage_95, days
    from models.scores
    where
        model = $model and cutoff is not null and horizon_week is not null and store_type is null
        and rmspe > 0
),

medians as (
    -- 1.4826 makes the median absolute deviation comparable with a standard deviation.
    select
        count(*) as weeks,
        median(days) as days,
        max(log_rmspe) as worst_log_rmspe,
        median(log_rmspe) as log_rmspe,
        1.4826 * mad(log_rmspe) as log_rmspe_deviation,
        min(coverage_80) as worst_coverage_80,
        median(coverage_80) as coverage_80,
        1.4826 * mad(coverage_80) as coverage_80_deviation,
        min(coverage_95) as worst_coverage_95,
        median(coverage_95) as coverage_95,
        1.4826 * mad(coverage_95) as coverage_95_deviation
    from backtest_weeks
),

limits as (
    select
        weeks,
        days,
        exp(greatest(worst_log_rmspe, log_rmspe + $most_deviations * log_rmspe_deviation))
            as highest_rmspe,
        least(worst_coverage_80, coverage_80 - $most_deviations * coverage_80_deviation)
            as lowest_coverage_80,
        least(worst_coverage_95, coverage_95 - $most_deviations * coverage_95_deviation)
            as lowest_coverage_95
    from medians
),

known as (
    select max(date) as last_day from cleaned.sales
),

newest_weeks as (
    -- A week that is not over, or of which half the days are missing, tells little.
    select
        accuracy.horizon_week,
        accuracy.cutoff,
        accuracy.cutoff + 7 * accuracy.horizon_week as week_until,
        accuracy.days,
        accuracy.missing_days,
        accuracy.rmspe,
        accuracy.coverage_80,
        accuracy.coverage_95
    from monitoring.accuracy as accuracy
    cross join known
    cross join limits
    where
        accuracy.model = $model and accuracy.cutoff is not null
        and accuracy.horizon_week is not null
        and accuracy.cutoff + 7 * accuracy.horizon_week <= known.last_day
        -- Without a cutoff so many weeks ago, an older week would be told once more.
        and accuracy.cutoff + 7 * accuracy.horizon_week > known.last_day - 7
        and 2 * accuracy.days >= limits.days
    qualify
        row_number() over (partition by accuracy.horizon_week order by accuracy.cutoff desc) = 1
),

compared as (
    select
        newest_weeks.*,
        limits.weeks as backtest_weeks,
        limits.highest_rmspe,
        limits.lowest_coverage_80,
        limits.lowest_coverage_95
    from newest_weeks
    cross join limits
)

select
    horizon_week,
    cutoff,
    week_until,
    days,
    missing_days,
    rmspe,
    highest_rmspe,
    coverage_80,
    lowest_coverage_80,
    coverage_95,
    lowest_coverage_95,
    backtest_weeks,
    -- With few weeks their range is a guess.
    backtest_weeks >= $fewest_weeks
    and (
        rmspe > highest_rmspe
        or coverage_80 < lowest_coverage_80
        or coverage_95 < lowest_coverage_95
    ) as is_outside
from compared
order by horizon_week
