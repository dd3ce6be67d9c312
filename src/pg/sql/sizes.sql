-- Tables and indexes outside the system's schemas: how many, how large.
select count(*) filter (where c.relkind in ('r', 'm')),
    coalesce(sum(pg_table_size(c.oid)) filter (where c.relkind in ('r', 'm')), 0)::int8,
    count(*) filter (where c.relkind = 'i'),
    coalesce(sum(pg_relation_size(c.oid)) filter (where c.relkind = 'i'), 0)::int8
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
