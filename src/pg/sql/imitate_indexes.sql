-- All indexes with what decides about their size: their definition, the table below, the
-- expressions of their columns, what they are told to be like, and the table and the index at the
-- top, where they belong to some. Whether keys that are equal have the same bytes the server asks
-- the operator classes at a build (`_bt_allequalimage` in nbtutils.c): their support function 4,
-- which for texts denies it of nondeterministic collations. The index says it too, but in a copy of a
-- database perhaps in memory only.
select n.nspname::text, c.relname::text, c.relkind::text, tn.nspname::text, t.relname::text,
       a.amname::text, i.indisunique,
       i.indnatts = i.indnkeyatts and not exists (
         select from generate_series(0, i.indnkeyatts - 1) as at
           join pg_opclass o on o.oid = i.indclass[at]
           left join pg_collation l on l.oid = i.indcollation[at]
           left join pg_amproc p on p.amprocfamily = o.opcfamily and p.amprocnum = 4
             and p.amproclefttype = o.opcintype and p.amprocrighttype = o.opcintype
          where p.oid is null
             or p.amproc = 'pg_catalog.btvarstrequalimage'::regproc and not l.collisdeterministic
       ),
       array(
         select pg_get_indexdef(c.oid, at, true) from generate_series(1, i.indnatts) as at order by at
       ),
       i.indnkeyatts::int4,
       pg_get_expr(i.indpred, i.indrelid),
       coalesce(c.reloptions, '{}')::text[],
       pg_get_indexdef(c.oid),
       rtn.nspname::text, rt.relname::text, rn.nspname::text, r.relname::text, c.oid
from pg_index i
join pg_class c on c.oid = i.indexrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_class t on t.oid = i.indrelid
join pg_namespace tn on tn.oid = t.relnamespace
join pg_am a on a.oid = c.relam
join pg_class rt on rt.oid = coalesce(pg_partition_root(t.oid), t.oid)
join pg_namespace rtn on rtn.oid = rt.relnamespace
join pg_class r on r.oid = coalesce(pg_partition_root(c.oid), c.oid)
join pg_namespace rn on rn.oid = r.relnamespace
where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
