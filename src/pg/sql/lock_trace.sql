-- The locks that were written down, in their order. A table that is gone has its name no more.
select h.transaction, h.path, h.line, n.nspname::text, c.relname::text, h.mode, h.file
from pgtune_shadow.held h
join pg_class c on c.oid = h.relation
join pg_namespace n on n.oid = c.relnamespace
order by h.id
