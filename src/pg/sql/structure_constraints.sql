-- The keys, checks and exclusions of the tables $1. A foreign key to a partitioned table has rows of
-- its own for each partition, which are no constraints of anybody's making; whether all rows were
-- checked is left out.
select tn.nspname::text, con.conname::text, tn.nspname::text, t.relname::text,
       regexp_replace(pg_get_constraintdef(con.oid), ' NOT VALID$', '')
from unnest($1::text[]) as name
join pg_class t on t.oid = to_regclass(name)
join pg_namespace tn on tn.oid = t.relnamespace
join pg_constraint con on con.conrelid = t.oid
where con.contype in ('p', 'u', 'f', 'c', 'x')
  and con.conparentid = 0
  and con.conname !~ '^pgtune_'
order by 1, 4, 2
