-- One row a kind of reason: its first row in judged_rows stands for all of its kind.
-- Reasons that differ only in the values they quote are of one kind.
select min(line) as line, arg_min(reason, line) as reason
from judged_rows
where reason is not null
group by regexp_replace(reason, '''[^'']*''|: .*|[0-9][0-9-]*', '', 'g')
order by line
limit 3
