-- The latest load of a file with this content, if there is one, and the first.
select load_id, rows, refused, min(load_id) over () as first_load_id
from raw.loads
where kind = $kind and sha256 = $sha256
order by load_id desc
limit 1
