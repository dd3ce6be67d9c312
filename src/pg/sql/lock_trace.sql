-- The locks that were written down, in their order, with the scans so far and those of earlier
-- transactions. Tables have the names that they had before, whatever became of them; one that is
-- gone was not rewritten.
select h.transaction, h.path, h.line, e.nspname::text, e.relname::text, h.mode,
       coalesce(h.file, e.file), h.scans, coalesce(s.scans, 0)::int8, h.is_query
from pgtune_shadow.held h
join pgtune_shadow.existing e on e.oid = h.relation
left join pgtune_shadow.scanned s on s.transaction = h.transaction and s.relation = h.relation
order by h.id
