-- One row a suite and expectation of the latest run that checked it, those not met first.
select
    results.suite,
    results.expectation,
    results.severity,
    results.success,
    results.failing,
    results.observed
from quality.results as results
inner join quality.summary using (suite, run)
order by results.suite, results.success, results.severity, results.expectation
