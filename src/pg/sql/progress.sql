-- How far the index builds of the backends $1 are.
select
  pid,
  phase,
  blocks_done,
  blocks_total,
  tuples_done,
  tuples_total,
  lockers_done,
  lockers_total
from pg_stat_progress_create_index
where pid = any($1::int4[])
