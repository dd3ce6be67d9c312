-- refinery's rows; the version's type decides the checksum.
select version::text, coalesce(name, '')::text, '', pg_typeof(version)::text,
       coalesce(checksum, '')::text, true
from {table}
order by version
