-- One row a store and coming day, as the latest delivery planned it.
-- The rows of test.csv, typed; a blank Open stays null and is inferred later.
create table if not exists raw.plan (
    -- Kaggle's number of the row, which a submission repeats
    id bigint,
    store_id integer not null,
    date date not null,
    -- the day
    is_open boolean,
    is_promo boolean not null,
    state_holiday varchar not null,
    is_school_holiday boolean not null,
    -- origin
    file varchar not null,
    line bigint not null,
    load_id integer not null
)
