-- Removes what earlier loads of the same file refused, before it is judged again.
delete from quality.quarantine
where
    load_id in (select load_id from raw.loads where kind = $kind and sha256 = $sha256)
