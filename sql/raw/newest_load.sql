-- The newest load of a kind of file; one that was judged again changed nothing of later ones.
with

firsts as (
    select min(load_id) as load_id from raw.loads where kind = $kind group by sha256
)

select max(load_id) as load_id from firsts
