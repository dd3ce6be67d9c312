-- Other sessions whose transaction is open for longer than $2 seconds and has used the table $1 or
-- one of its partitions: a detach would wait for them.
select distinct on (a.pid)
  pg_backend_pid(),
  a.pid,
  coalesce(a.application_name, ''),
  coalesce(a.usename::text, ''),
  coalesce(a.state, ''),
  extract(epoch from clock_timestamp() - a.xact_start)::float8,
  coalesce(a.query, '')
from pg_locks l
join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'relation'
  and l.granted
  and l.database = (select oid from pg_database where datname = current_database())
  and (l.relation = to_regclass($1)
       or l.relation in (select inhrelid from pg_inherits where inhparent = to_regclass($1)))
  and a.pid <> pg_backend_pid()
  and a.xact_start < clock_timestamp() - $2 * interval '1 second'
order by a.pid
