-- Columns whose ends the planner looks up in an index (get_actual_variable_range): the first of a
-- whole b-tree, where the role may read it.
select distinct n.nspname::text, t.relname::text, a.attname::text
from pg_index i
join pg_class c on c.oid = i.indexrelid and c.relkind = 'i'
join pg_am m on m.oid = c.relam and m.amname = 'btree'
join pg_class t on t.oid = i.indrelid and t.relkind in ('r', 'm') and t.reltuples > 0
join pg_namespace n on n.oid = t.relnamespace
join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0]
where i.indisvalid and i.indpred is null
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  and n.nspname !~ '^pg_temp_'
  and has_column_privilege(t.oid, a.attnum, 'select')
  and not row_security_active(t.oid)
order by 1, 2, 3
