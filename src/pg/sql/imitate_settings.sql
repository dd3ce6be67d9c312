-- The built-in defaults of the planner's settings, and of those that decide how times are read, where
-- the session has others.
select name::text, boot_val::text
from pg_settings
where (category like 'Query Tuning%'
    or name in ('work_mem', 'hash_mem_multiplier', 'effective_io_concurrency',
                'max_parallel_workers', 'max_parallel_workers_per_gather',
                'TimeZone', 'DateStyle', 'IntervalStyle'))
  and context in ('user', 'superuser')
  and setting is distinct from boot_val
  and boot_val is not null
