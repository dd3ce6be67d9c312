-- sqlx's rows.
select version::text, description::text, '', '', encode(checksum, 'hex'), success
from {table}
order by version
