-- Which of the tables $1 were never analyzed, hold $2 bytes at most, and may be analyzed by this
-- role: it is their owner, or the database's (manual, ANALYZE). Else ANALYZE only warns.
select n.nspname::text, c.relname::text
from unnest($1::text[]) as wanted(name)
join pg_class c on c.oid = to_regclass(wanted.name)
join pg_namespace n on n.oid = c.relnamespace
join pg_database d on d.datname = current_database()
where c.reltuples < 0
  and (pg_has_role(c.relowner, 'usage') or pg_has_role(d.datdba, 'usage'))
  and pg_relation_size(c.oid) <= $2
order by 1, 2
