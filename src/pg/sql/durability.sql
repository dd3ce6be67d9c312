-- What decides which confirmed rows a crash takes: $1 is the table.
select
    current_setting('fsync')::bool,
    current_setting('synchronous_commit') not in ('off', 'false', 'no', '0'),
    (select setting::bigint from pg_catalog.pg_settings where name = 'wal_writer_delay'),
    coalesce(bool_or(relation.relpersistence = 'u'), false),
    coalesce(bool_or(relation.oid = $1::text::regclass), false)
from pg_catalog.pg_class as relation
where relation.oid = $1::text::regclass
    or relation.oid in (select relid from pg_catalog.pg_partition_tree($1::text::regclass))
