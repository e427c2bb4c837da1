-- One row a delivered row that could not be used.
-- Shows whoever delivered it where it stands and why it was refused.
create table if not exists quality.quarantine (
    load_id integer not null,
    file varchar not null,
    line bigint not null,
    reason varchar not null,
    row_text varchar not null
)
