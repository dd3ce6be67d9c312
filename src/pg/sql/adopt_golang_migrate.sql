-- golang-migrate's one row.
select version::text, '', '', '', '', not dirty
from {table}
order by version
