-- Sessions of runners that are gone, still at work: whoever holds the runner lock ($2) is the
-- only runner, so any other session named $1 in this database has lost its client.
select pid, coalesce(extract(epoch from clock_timestamp() - query_start)::float8, 0),
       coalesce(query, '')
from pg_stat_activity
where application_name = $1
  and datname = current_database()
  and state <> 'idle'
  and pid <> all($2::int4[])
