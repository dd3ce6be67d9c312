-- The relations $1 and all partitions of the trees they belong to: the top of the tree, where there
-- is one, pages and rows as the last VACUUM or ANALYZE saw them, and when its statistics were made.
with asked as (
  -- Not to_regclass: the session's role may be one that may not look into the schema.
  select c.oid, pg_partition_root(c.oid) as root
  from unnest($1::text[]) as name
  join pg_namespace n on n.nspname = (parse_ident(name))[1]
  join pg_class c on c.relnamespace = n.oid and c.relname = (parse_ident(name))[2]
), members as (
  select oid, null::oid as root from asked where root is null
  union
  select tree.relid, roots.root
  from (select distinct root from asked where root is not null) as roots
  cross join lateral pg_partition_tree(roots.root) as tree
)
select n.nspname::text, c.relname::text, rn.nspname::text, r.relname::text,
       c.relpages::int8, c.reltuples::float8,
       extract(epoch from greatest(
         pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)
       ))::float8
from members m
join pg_class c on c.oid = m.oid
join pg_namespace n on n.oid = c.relnamespace
left join pg_class r on r.oid = m.root
left join pg_namespace rn on rn.oid = r.relnamespace
