-- The tables $1, or those of the indexes $1, with the partitions below and the tables above each.
with asked as (
  select coalesce(i.indrelid, name.oid) as oid
  from (select to_regclass(one)::oid as oid from unnest($1::text[]) as one) as name
  left join pg_index i on i.indexrelid = name.oid
), related as (
  select oid from asked
  union
  select tree.relid from asked, pg_partition_tree(asked.oid) as tree
  union
  select above.relid from asked, pg_partition_ancestors(asked.oid) as above
)
select n.nspname::text, c.relname::text
from related
join pg_class c on c.oid = related.oid
join pg_namespace n on n.oid = c.relnamespace
