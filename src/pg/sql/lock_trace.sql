-- The locks that were written down, in their order, with the scans so far and those of earlier
-- transactions. A table that is gone has its name no more.
select h.transaction, h.path, h.line, n.nspname::text, c.relname::text, h.mode, h.file,
       h.scans, coalesce(s.scans, 0)::int8, h.is_query
from pgtune_shadow.held h
join pg_class c on c.oid = h.relation
join pg_namespace n on n.oid = c.relnamespace
left join pgtune_shadow.scanned s on s.transaction = h.transaction and s.relation = h.relation
order by h.id
