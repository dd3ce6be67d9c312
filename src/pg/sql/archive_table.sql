-- One table, with its place in a partition tree, and the server's version, clock and position.
select
  c.relkind::text,
  pn.nspname::text,
  pc.relname::text,
  case when c.relispartition then pg_get_expr(c.relpartbound, 0) end,
  coalesce(key.columns, '{}'),
  current_setting('server_version'),
  to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end)::text,
  case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end
from pg_class c
left join pg_inherits h on h.inhrelid = c.oid and c.relispartition
left join pg_class pc on pc.oid = h.inhparent
left join pg_namespace pn on pn.oid = pc.relnamespace
left join lateral (
  select array_agg(a.attname::text order by k.position) as columns
    from pg_partitioned_table p
    cross join unnest(p.partattrs::int2[]) with ordinality as k (attnum, position)
    join pg_attribute a on a.attrelid = p.partrelid and a.attnum = k.attnum
   where p.partrelid = pc.oid and p.partstrat in ('r', 'l')
) as key on true
where c.oid = to_regclass($1)
