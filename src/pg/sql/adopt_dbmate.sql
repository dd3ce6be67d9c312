-- dbmate's rows: versions and nothing else.
select version::text, '', '', '', '', true
from {table}
order by version
