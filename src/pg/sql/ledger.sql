-- Partitions that are to leave or have left, and are still there, by OID; with the name they had
-- then: after a dump and restore an OID is another table's.
select n.nspname::text, c.relname::text, l.parent, l.bound,
       (extract(epoch from l.detached_at) * 1000000)::int8,
       l.manifest is not null, l.restored_at is not null, l.partition, l.expires
from pgtune_state.partition_ledger l
join pg_class c on c.oid = l.relid
join pg_namespace n on n.oid = c.relnamespace
where l.dropped_at is null
order by 1, 2
