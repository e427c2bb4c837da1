-- One row a run, suite and expectation: whether what was checked met it.
-- Rows are added by every run that checks, also by one that a check stops.
create table if not exists quality.results (
    -- Dagster's id of the run
    run varchar not null,
    -- UTC
    checked_at timestamp not null,
    suite varchar not null,
    expectation varchar not null,
    -- critical stops the refresh, warning does not
    severity varchar not null,
    success boolean not null,
    failing bigint not null,
    -- a value of the whole table, or the first of the values that fail
    observed varchar
)
