-- One row a store and day, as the latest delivery of that day reported it.
-- The rows of train.csv, typed; a blank Open or Customers stays null.
create table if not exists raw.sales (
    store_id integer not null,
    date date not null,
    -- measures
    sales double not null,
    customers bigint,
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
