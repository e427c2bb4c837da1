-- A row, if there is any, of a load that was refused for a day in the future which has come by now.
select line
from quality.quarantine
where
    load_id = $load_id
    and try_cast(regexp_extract(reason, '^Date (.*) is in the future$', 1) as date)
    <= cast($today as date)
limit 1
