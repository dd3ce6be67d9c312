-- Who the backends $1 wait for: each waiting pid with the sessions in its way.
select
  waiting.pid,
  blocker.pid,
  coalesce(blocker.application_name, ''),
  coalesce(blocker.usename::text, ''),
  coalesce(blocker.state, ''),
  coalesce(extract(epoch from clock_timestamp() - blocker.xact_start)::float8, 0),
  coalesce(blocker.query, '')
from unnest($1::int4[]) as waiting(pid)
cross join lateral unnest(pg_blocking_pids(waiting.pid)) as blocking(pid)
join pg_stat_activity blocker on blocker.pid = blocking.pid
order by 1, 6 desc
