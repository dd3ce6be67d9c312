-- Indexes with definition, validity and place in a partitioned index. The definition is cut
-- behind the table's name, by the length of what pg_get_indexdef writes before it.
-- Who builds one is told unless it is a runner ($1): runners are waited for anyway.
select
  n.nspname::text,
  c.relname::text,
  tn.nspname::text,
  t.relname::text,
  i.indisunique,
  i.indisvalid and i.indisready and i.indislive,
  substr(
    pg_get_indexdef(c.oid),
    length(format(
      'CREATE %sINDEX %I ON %s%I.%I ',
      case when i.indisunique then 'UNIQUE ' else '' end,
      c.relname,
      case when c.relkind = 'I' then 'ONLY ' else '' end,
      tn.nspname,
      t.relname
    )) + 1
  ),
  columns.names,
  pn.nspname::text,
  p.relname::text,
  k.contype::text,
  c.relpages::int8 * current_setting('block_size')::int8,
  progress.pid
from pg_index i
join pg_class c on c.oid = i.indexrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_class t on t.oid = i.indrelid
join pg_namespace tn on tn.oid = t.relnamespace
join (
  select attrelid, array_agg(attname::text order by attnum) as names
    from pg_attribute
   group by attrelid
) as columns on columns.attrelid = c.oid
left join pg_inherits h on h.inhrelid = c.oid
left join pg_class p on p.oid = h.inhparent
left join pg_namespace pn on pn.oid = p.relnamespace
left join pg_constraint k on k.conindid = c.oid and k.contype in ('p', 'u', 'x')
left join (
  select p.index_relid, p.pid
    from pg_stat_progress_create_index p
    join pg_stat_activity a on a.pid = p.pid
   where a.application_name <> $1
) as progress on progress.index_relid = c.oid
where t.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname !~ '^pg_toast'
