-- The newest load of a kind of file.
select max(load_id) as load_id
from raw.loads
where kind = $kind
