-- One row a column of features.training, or that is missing there: its kind, and the kind that
-- models read. Missing is what features.future has, or what models ask for by name ($required).
with

stored as (
    select
        column_name,
        case
            when
                data_type in (
                    'FLOAT', 'DOUBLE', 'TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'BOOLEAN'
                )
                then 'number'
            when data_type = 'DATE' then 'date'
            when data_type = 'VARCHAR' then 'text'
            else lower(data_type)
        end as kind
    from duckdb_columns()
    where
        database_name = current_database()
        and schema_name = 'features'
        and table_name = 'training'
),

required as (
    select unnest($required) as column_name
    union
    select column_name
    from duckdb_columns()
    where
        database_name = current_database()
        and schema_name = 'features'
        and table_name = 'future'
)

select
    column_name,
    stored.kind,
    case
        when list_contains($dates, column_name) then 'date'
        when list_contains($texts, column_name) then 'text'
        else 'number'
    end as expected_kind
from stored
full join required using (column_name)
order by column_name
