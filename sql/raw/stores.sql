-- One row a store, as the latest delivery described it.
-- The attributes of store.csv, typed; blanks stay null.
create table if not exists raw.stores (
    store_id integer not null,
    -- attributes
    store_type varchar not null,
    assortment varchar not null,
    -- competition
    competition_distance_m double,
    competition_open_since_month integer,
    competition_open_since_year integer,
    -- the recurring promotion
    promo2 boolean not null,
    promo2_since_week integer,
    promo2_since_year integer,
    promo_interval varchar,
    -- origin
    file varchar not null,
    line bigint not null,
    load_id integer not null
)
