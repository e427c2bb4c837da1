-- One row a run and suite, of the newest $runs runs: how many of its expectations were met.
with

newest as (
    select run, max(checked_at) as run_at
    from quality.results
    group by run
    order by run_at desc
    limit $runs
)

select
    run,
    run_at,
    suite,
    count(*) as expectations,
    count(*) filter (not success and severity <> 'critical') as warnings,
    count(*) filter (not success and severity = 'critical') as failed
from quality.results
inner join newest using (run)
group by run, run_at, suite
order by run_at, suite
