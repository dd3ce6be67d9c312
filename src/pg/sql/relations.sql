-- Tables, partitioned tables, materialized views and foreign tables, with their place in a
-- partition tree. Sizes are relpages: the real size would need a lock on every table.
select
  n.nspname::text,
  c.relname::text,
  c.relkind::text,
  pn.nspname::text,
  pc.relname::text,
  case when c.relispartition then pg_get_expr(c.relpartbound, c.oid) end,
  coalesce(h.inhdetachpending, false),
  case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end,
  coalesce(columns.not_null, '{}'),
  coalesce(checks.names, '{}'),
  coalesce(checks.valid, '{}'),
  c.relpages::int8 * current_setting('block_size')::int8,
  c.reltuples::float8
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_inherits h on h.inhrelid = c.oid and c.relispartition
left join pg_class pc on pc.oid = h.inhparent
left join pg_namespace pn on pn.oid = pc.relnamespace
left join (
  select attrelid, array_agg(attname::text order by attnum) as not_null
    from pg_attribute
   where attnotnull and attnum > 0 and not attisdropped
   group by attrelid
) as columns on columns.attrelid = c.oid
left join (
  select conrelid, array_agg(conname::text order by conname) as names,
         array_agg(convalidated order by conname) as valid
    from pg_constraint
   where contype = 'c'
   group by conrelid
) as checks on checks.conrelid = c.oid
where c.relkind in ('r', 'p', 'm', 'f')
  and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname !~ '^pg_toast'
