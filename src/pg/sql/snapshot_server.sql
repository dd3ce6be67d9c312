-- The database, and the planner's settings and the search path that are not the built-in defaults.
select
  current_setting('server_version_num')::int4,
  current_database()::text,
  pg_encoding_to_char(d.encoding)::text,
  d.datcollate::text,
  d.datctype::text,
  current_setting('block_size')::int4,
  (
    select coalesce(array_agg(name || '=' || value order by name), '{}')
      from pg_settings
      -- Definitions are read with an empty path.
      cross join lateral (
        select case when name = 'search_path' then reset_val else current_setting(name) end,
               case when name = 'search_path' then reset_val else setting end
      ) as own(value, raw)
     where (category like 'Query Tuning%'
         or name in ('work_mem', 'hash_mem_multiplier', 'effective_io_concurrency',
                     'max_parallel_workers', 'max_parallel_workers_per_gather', 'search_path'))
       and raw is distinct from boot_val
  ),
  to_char(pg_stat_get_db_stat_reset_time(d.oid) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
from pg_database d
where d.datname = current_database()
