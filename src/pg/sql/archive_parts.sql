-- The partitions of a table that is partitioned itself, with their kinds and bounds.
select n.nspname::text, c.relname::text, c.relkind::text, pg_get_expr(c.relpartbound, 0)
  from pg_inherits h
  join pg_class c on c.oid = h.inhrelid and c.relispartition
  join pg_namespace n on n.oid = c.relnamespace
 where h.inhparent = to_regclass($1)
 order by 1, 2
