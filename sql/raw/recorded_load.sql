-- Records one loaded file.
insert into raw.loads by name
select
    $load_id as load_id,
    $file as file,
    $kind as kind,
    $sha256 as sha256,
    $rows as rows,
    $refused as refused,
    $loaded_at as loaded_at
