-- Columns of indexes that are expressions, with their tables and what they index.
select n.nspname::text, c.relname::text, a.attname::text, tn.nspname::text, t.relname::text,
       pg_get_indexdef(c.oid, a.attnum, false)
from pg_index i
join pg_class c on c.oid = i.indexrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and i.indkey[a.attnum - 1] = 0
join pg_class t on t.oid = i.indrelid
join pg_namespace tn on tn.oid = t.relnamespace
where i.indexprs is not null
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
