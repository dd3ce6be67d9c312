-- Columns that were analyzed and that the role may not read: counted per table.
select n.nspname::text, c.relname::text, c.relrowsecurity, c.relkind::text
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm', 'p', 'i')
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  and n.nspname !~ '^pg_temp_'
  and (c.relkind <> 'i' or exists (
    select from pg_index i where i.indexrelid = c.oid and i.indexprs is not null
  ))
  and (c.relkind = 'i' and not pg_has_role(c.relowner, 'usage')
    or c.relkind <> 'i' and not has_table_privilege(c.oid, 'select')
    or row_security_active(c.oid))
order by 1, 2
