-- Liquibase's rows.
select '', id::text, filename::text, exectype::text, coalesce(md5sum, '')::text,
       exectype <> 'FAILED'
from {table}
order by orderexecuted
