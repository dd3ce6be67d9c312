-- Each of the relations $1: the top of its partition tree where it is a partition, its pages and
-- its rows as the last VACUUM or ANALYZE saw them.
select n.nspname::text, c.relname::text, rn.nspname::text, r.relname::text,
       c.relpages::int8, c.reltuples::float8
from (select distinct to_regclass(name)::oid as relid from unnest($1::text[]) as name) as asked
join pg_class c on c.oid = asked.relid
join pg_namespace n on n.oid = c.relnamespace
left join pg_class r on c.relispartition and r.oid = pg_partition_root(c.oid)
left join pg_namespace rn on rn.oid = r.relnamespace
