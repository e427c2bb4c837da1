-- One row a delivered file that was loaded.
-- Tells what came when, and recognises a file that is delivered again.
-- `rows` counts the file's data rows, `refused` those of them that went to quality.quarantine.
create table if not exists raw.loads (
    load_id integer not null,
    file varchar not null,
    kind varchar not null,
    sha256 varchar not null,
    rows bigint not null,
    refused bigint not null,
    -- UTC
    loaded_at timestamp not null
)
