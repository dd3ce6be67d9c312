-- The file of each table, materialized view and index, below the data directory.
select n.nspname::text, c.relname::text, pg_relation_filepath(c.oid), coalesce(a.amname, '')::text
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_am a on a.oid = c.relam and c.relkind = 'i'
where c.relkind in ('r', 'm', 'i')
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
