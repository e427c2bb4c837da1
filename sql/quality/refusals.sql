-- One row a refused row that stands for its kind: the first $examples rows of each load and kind of
-- reason, with how many of that kind there are.
-- Reasons that differ only in the values they quote are of one kind; a row may have several faults.
with

told as (
    select
        *,
        [
            regexp_replace(fault, '''.*(''|$)|: .*|[0-9][0-9-]*', '', 'g')
            for fault in string_split(reason, '; ')
        ] as kind
    from quality.quarantine
    where $load_id is null or load_id = $load_id
),

numbered as (
    select
        *,
        row_number() over (partition by load_id, kind order by line) as place,
        count(*) over (partition by load_id, kind) as rows,
        min(line) over (partition by load_id, kind) as first_line
    from told
)

select load_id, file, line, reason, row_text, rows, place
from numbered
where place <= $examples
order by load_id, first_line, kind, line
