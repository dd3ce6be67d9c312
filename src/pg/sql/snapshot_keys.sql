-- The columns that foreign keys connect, in pairs.
select n.nspname::text, c.relname::text, a.attname::text, rn.nspname::text, r.relname::text,
       ra.attname::text
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_class r on r.oid = k.confrelid
join pg_namespace rn on rn.oid = r.relnamespace
cross join lateral unnest(k.conkey, k.confkey) as both_(own, other)
join pg_attribute a on a.attrelid = c.oid and a.attnum = both_.own
join pg_attribute ra on ra.attrelid = r.oid and ra.attnum = both_.other
where k.contype = 'f'
