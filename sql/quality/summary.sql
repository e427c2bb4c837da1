-- One row a suite of expectations: what the latest run that checked it found.
-- Of expectations that were not met, `failed` stop a refresh and `warnings` do not.
with

latest as (
    select suite, arg_max(run, checked_at) as run
    from quality.results
    group by suite
)

select
    suite,
    run,
    max(checked_at) as checked_at,
    count(*) as expectations,
    count(*) filter (success) as met,
    count(*) filter (not success and severity <> 'critical') as warnings,
    count(*) filter (not success and severity = 'critical') as failed,
    cast(sum(failing) as bigint) as failing_rows
from quality.results
semi join latest using (suite, run)
group by suite, run
order by suite
