-- Records what became of one expectation.
-- A run is never before an earlier one, also when the clock has jumped back.
insert into quality.results by name
select
    $run as run,
    greatest(
        cast($checked_at as timestamp),
        (
            select max(earlier.checked_at) + interval 1 second
            from quality.results as earlier
            where earlier.run <> $run
        )
    ) as checked_at,
    $suite as suite,
    $expectation as expectation,
    $severity as severity,
    $success as success,
    $failing as failing,
    $observed as observed
