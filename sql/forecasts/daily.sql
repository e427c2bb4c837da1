-- One row a cutoff, store, coming day and model: the forecast in EUR with its intervals.
create table if not exists forecasts.daily (
    cutoff date,
    store_id integer,
    date date,
    model varchar,
    h smallint,
    forecast double,
    lo_80 double,
    hi_80 double,
    lo_95 double,
    hi_95 double,
    version varchar,
    primary key (cutoff, store_id, date, model)
)
