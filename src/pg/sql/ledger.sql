-- Partitions that are to leave or have left, and are still there, by OID; with the name they had
-- then: after a dump and restore an OID is another table's. So is that of the parent, which counts
-- as renamed only where no other table has its name; NULL where it is not sure which table it was.
-- As JSON, since a ledger of an older pgtune has no OIDs of parents, as its rows have none.
select n.nspname::text, c.relname::text,
       case when row.parent_relid is null then l.parent
            when coalesce(named.oid, parent.oid) = parent.oid
            then format('%I.%I', parent_schema.nspname, parent.relname)
       end,
       l.bound, (extract(epoch from l.detached_at) * 1000000)::int8,
       l.manifest is not null, l.restored_at is not null, l.partition, l.expires
from pgtune_state.partition_ledger l
cross join lateral (select (to_jsonb(l) ->> 'parent_relid')::oid as parent_relid) as row
join pg_class c on c.oid = l.relid
join pg_namespace n on n.oid = c.relnamespace
left join pg_class parent on parent.oid = row.parent_relid and parent.relkind = 'p'
left join pg_namespace parent_schema on parent_schema.oid = parent.relnamespace
left join lateral (
  -- Not to_regclass(), which fails where this role may not use the schema of somebody else's table.
  select c.oid from parse_ident(l.parent) as name(parts)
    join pg_namespace n on n.nspname = parts[1]
    join pg_class c on c.relnamespace = n.oid and c.relname = parts[2]
) as named on true
where l.dropped_at is null
order by 1, 2
