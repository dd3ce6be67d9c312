-- The tables that there were before, with their files, and their names today.
select e.nspname::text, e.relname::text, e.file, n.nspname::text, c.relname::text
from pgtune_shadow.existing e
left join pg_class c on c.oid = e.oid
left join pg_namespace n on n.oid = c.relnamespace
