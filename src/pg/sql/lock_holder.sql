-- Who holds the runner lock ($1, $2) of this database.
select l.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, ''),
       coalesce(host(a.client_addr), 'local'),
       coalesce(extract(epoch from clock_timestamp() - a.backend_start)::float8, 0)
from pg_locks l left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 2
  and l.classid = $1::oid and l.objid = $2::oid
  and l.database = (select oid from pg_database where datname = current_database())
