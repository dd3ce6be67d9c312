-- Tables that share rows, in pairs: each partition with the table that it is of, and each table that
-- inherits with the one above.
select n.nspname::text, c.relname::text, pn.nspname::text, p.relname::text
from pg_inherits i
join pg_class c on c.oid = i.inhrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_class p on p.oid = i.inhparent
join pg_namespace pn on pn.oid = p.relnamespace
where c.relkind in ('r', 'p', 'f')
