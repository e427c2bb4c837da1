-- Moves the refused rows of judged_rows into quarantine.
insert into quality.quarantine by name
select $load_id as load_id, $file as file, line, reason, row_text
from judged_rows
where reason is not null
order by line
