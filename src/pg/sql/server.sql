-- What must be known before anything else, in one round trip. $1: the history table as written.
select
  current_setting('server_version_num')::int4,
  pg_is_in_recovery(),
  current_setting('transaction_read_only') = 'on',
  pg_backend_pid(),
  coalesce(current_schema, '')::text,
  history.schema,
  history.name,
  (select a.atttypid = 'int8'::regtype
     from pg_attribute a
    where a.attrelid = history.oid and a.attname = 'version'),
  -- Not to_regclass: the role may be one that may not look into the schema.
  exists (
    select from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'pgtune_state' and c.relname = 'migration_progress'
  ),
  current_database()::text
from (select to_regclass($1) as oid) as found
left join lateral (
  select c.oid, n.nspname::text as schema, c.relname::text as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.oid = found.oid
) as history on true
