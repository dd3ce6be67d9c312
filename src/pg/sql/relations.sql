-- Tables, partitioned tables, materialized views and foreign tables, with their place in a
-- partition tree. Sizes are relpages: the real size would need a lock on every table. So would the
-- bounds, if pg_get_expr were told whose they are; they name no column. Columns that are NOT NULL
-- are told of partitioned tables, and of all where $1 asks: they take half of the time.
select
  n.nspname::text,
  c.relname::text,
  c.relkind::text,
  pn.nspname::text,
  pc.relname::text,
  case when c.relispartition then pg_get_expr(c.relpartbound, 0) end,
  coalesce(h.inhdetachpending, false),
  case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end,
  coalesce(columns.not_null, '{}'),
  coalesce(checks.names, '{}'),
  coalesce(checks.valid, '{}'),
  c.relpages::int8 * current_setting('block_size')::int8,
  c.reltuples::float8,
  coalesce(keys.names, '{}'),
  coalesce(keys.types, '{}'),
  coalesce(foreign_keys.referenced, '{}'),
  coalesce(pointing.referencing, '{}')
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_inherits h on h.inhrelid = c.oid and c.relispartition
left join pg_class pc on pc.oid = h.inhparent
left join pg_namespace pn on pn.oid = pc.relnamespace
left join (
  select attrelid, array_agg(attname::text order by attnum) as not_null
    from pg_attribute
   where ($1 or attrelid in (select partrelid from pg_partitioned_table))
     and attnotnull and attnum > 0 and not attisdropped
   group by attrelid
) as columns on columns.attrelid = c.oid
left join (
  select conrelid, array_agg(conname::text order by conname) as names,
         array_agg(convalidated order by conname) as valid
    from pg_constraint
   where contype = 'c'
   group by conrelid
) as checks on checks.conrelid = c.oid
left join (
  select p.partrelid,
         array_agg(coalesce(a.attname::text, '') order by k.position) as names,
         array_agg(coalesce(format_type(a.atttypid, null), '') order by k.position) as types
    from pg_partitioned_table p
    cross join lateral unnest(p.partattrs::int2[]) with ordinality as k(attnum, position)
    left join pg_attribute a on a.attrelid = p.partrelid and a.attnum = k.attnum and k.attnum > 0
   group by p.partrelid
) as keys on keys.partrelid = c.oid
-- Foreign keys as they were written, without those that partitions have from their parents.
left join (
  select conrelid, array_agg(distinct confrelid::regclass::text) as referenced
    from pg_constraint
   where contype = 'f' and conparentid = 0
   group by conrelid
) as foreign_keys on foreign_keys.conrelid = c.oid
left join (
  select confrelid, array_agg(distinct conrelid::regclass::text) as referencing
    from pg_constraint
   where contype = 'f' and conparentid = 0
   group by confrelid
) as pointing on pointing.confrelid = c.oid
where c.relkind in ('r', 'p', 'm', 'f')
  and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname !~ '^pg_toast'
