-- The latest load of a file with this content, if there is one.
select load_id, rows, refused
from raw.loads
where kind = $kind and sha256 = $sha256
order by load_id desc
limit 1
