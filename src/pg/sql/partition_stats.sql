-- How large the partitions below the tables $1 are, and when they were last vacuumed: leaves only.
with recursive tree as (
  select roots.name::regclass::oid as relid from unnest($1::text[]) as roots(name)
  union all
  select i.inhrelid from pg_inherits i join tree on tree.relid = i.inhparent
)
select n.nspname::text, c.relname::text,
       greatest(coalesce(s.n_live_tup, 0), c.reltuples::int8, 0),
       pg_total_relation_size(c.oid)::int8,
       (extract(epoch from greatest(s.last_vacuum, s.last_autovacuum)) * 1000000)::int8
from tree
join pg_class c on c.oid = tree.relid and c.relkind <> 'p'
join pg_namespace n on n.oid = c.relnamespace
left join pg_stat_all_tables s on s.relid = c.oid
