-- The columns of tables of which both names are in $1.
select n.nspname::text, c.relname::text, a.attname::text
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relkind in ('r', 'p', 'm')
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  and c.relname = any ($1)
  and a.attname = any ($1)
