-- The names of all relations and, in the order of their numbers, of their columns; those of dropped
-- columns are NULL.
select c.oid, n.nspname::text, c.relname::text, c.relkind::text,
       array(
         select case when not a.attisdropped then a.attname::text end
           from pg_attribute a
          where a.attrelid = c.oid and a.attnum > 0
          order by a.attnum
       )
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm', 'i', 'I', 'f', 'v')
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'pgtune_shadow')
