-- What was analyzed and what the role may not read: columns, counted per table, and extended statistics,
-- of kind 'e'.
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
union all
select n.nspname::text, e.stxname::text, row_security_active(c.oid), 'e'
from pg_statistic_ext e
join pg_namespace n on n.oid = e.stxnamespace
join pg_class c on c.oid = e.stxrelid
where (not pg_has_role(c.relowner, 'usage') or row_security_active(c.oid))
  and not exists (
    select from pg_stats_ext s
     where (s.statistics_schemaname, s.statistics_name) = (n.nspname, e.stxname)
  )
order by 1, 2
