-- How many indexes the partitions below the tables $1 have: leaves only. Takes no lock on them.
with recursive tree as (
  select roots.name::regclass::oid as relid from unnest($1::text[]) as roots(name)
  union all
  select i.inhrelid from pg_inherits i join tree on tree.relid = i.inhparent
)
select n.nspname::text, c.relname::text,
       (select count(*) from pg_index i where i.indrelid = c.oid)::int8
from tree
join pg_class c on c.oid = tree.relid and c.relkind <> 'p'
join pg_namespace n on n.oid = c.relnamespace
