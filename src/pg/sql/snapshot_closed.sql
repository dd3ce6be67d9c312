-- The tables that the role may not lock in ACCESS SHARE; pgtune's own are no part of a schema.
select n.nspname::text, c.relname::text
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p')
  and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'pgtune_state')
  and not (has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage'))
order by 1, 2
