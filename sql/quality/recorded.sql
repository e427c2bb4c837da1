-- Records what became of one expectation.
insert into quality.results by name
select
    $run as run,
    $checked_at as checked_at,
    $suite as suite,
    $expectation as expectation,
    $severity as severity,
    $success as success,
    $failing as failing,
    $observed as observed
