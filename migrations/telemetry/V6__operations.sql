-- What the people who run the platform look at.

-- One row, which a job on the primary touches every second:
--     update replication_heartbeat set beat_at = clock_timestamp();
-- A replica's copy of it is as old as the replica is late.
create table replication_heartbeat (
    id      smallint    not null default 1,
    beat_at timestamptz not null default clock_timestamp(),
    constraint replication_heartbeat_pkey primary key (id),
    constraint replication_heartbeat_one_row_check check (id = 1)
);

insert into replication_heartbeat default values;

-- One row per replica on the primary, one row about itself on a replica; late is above 3 s.
-- The primary shows other roles' connections only to members of pg_monitor.
create function check_replication_lag()
returns table (replica text, lag interval, is_late boolean)
language sql
as $$
    select application_name,
        coalesce(replay_lag, interval '0'),
        coalesce(replay_lag, interval '0') > interval '3 seconds'
    from pg_stat_replication
    where not pg_is_in_recovery()
    union all
    select 'this server',
        clock_timestamp() - beat_at,
        clock_timestamp() - beat_at > interval '3 seconds'
    from replication_heartbeat
    where pg_is_in_recovery();
$$;

-- Values per minute over the last quarter of an hour.
create view v_write_throughput as
select
    date_trunc('minute', ingested_at) as minute,
    count(*) as row_count,
    round(count(*) / 60.0, 1) as rows_per_second
from entity_values_ts
where ingested_at >= date_trunc('minute', now()) - interval '15 minutes'
group by 1
order by 1 desc;

-- Size, growth per day and size in 90 days, from the catalog alone. Growth is what the partitions
-- of this and of last month hold, over the days since last month began.
create view v_capacity as
with leaf as (
    select
        pg_total_relation_size(c.oid) as size_bytes,
        greatest(c.reltuples, 0)::bigint as row_count,
        substring(pg_get_expr(c.relpartbound, c.oid) from 'FROM \(''([^'']+)''\)')::timestamptz
            as starts_at
    from pg_partition_tree('entity_values_ts') as t
    join pg_class as c on c.oid = t.relid
    where t.isleaf
), last_month as (
    select (date_trunc('month', now() at time zone 'UTC') - interval '1 month')
        at time zone 'UTC' as starts_at
), growth as (
    select
        sum(leaf.size_bytes) as size_bytes,
        sum(leaf.row_count) as row_count,
        extract(epoch from now() - max(last_month.starts_at)) / 86400 as days,
        sum(leaf.size_bytes) filter (where leaf.starts_at >= last_month.starts_at) as new_bytes,
        sum(leaf.row_count) filter (where leaf.starts_at >= last_month.starts_at) as new_rows
    from leaf
    cross join last_month
)
select
    row_count,
    size_bytes,
    round(new_rows / days) as rows_per_day,
    round(new_bytes / days) as bytes_per_day,
    round(size_bytes + 90 * new_bytes / days) as size_bytes_in_90_days
from growth;

-- Who wrote how much in the last 24 hours.
create view v_tenant_usage as
select
    t.tenant_id,
    t.name,
    coalesce(v.row_count, 0) as rows_last_day,
    round(100 * coalesce(v.row_count, 0) / nullif(sum(v.row_count) over (), 0), 1)
        as percent_of_all
from tenants as t
left join (
    select tenant_id, count(*) as row_count
    from entity_values_ts
    where ingested_at >= now() - interval '24 hours'
    group by tenant_id
) as v on v.tenant_id = t.tenant_id
order by rows_last_day desc;

-- One document for a probe. "status" is "ok" unless a replica is late, the staging backlog is
-- above one million rows, or next month has no partition.
create function health_check() returns jsonb
language sql
as $$
    with fact as (
        select
            (select count(*) from
                -- Stops counting where the alarm begins.
                (select from entity_values_ingest limit 1000001) as backlog) as staging_rows,
            (select max(lag) from check_replication_lag()) as replica_lag,
            (select coalesce(bool_or(is_late), false) from check_replication_lag()) as is_late,
            (select coalesce(max(rows_per_second), 0) from v_write_throughput) as peak_writes,
            (select count(*) from pg_partition_tree('entity_values_ts') as t
                join pg_class as c on c.oid = t.relid
                where t.isleaf
                    and substring(pg_get_expr(c.relpartbound, c.oid)
                        from 'FROM \(''([^'']+)''\)')::timestamptz > now()) as months_ahead
    )
    select jsonb_build_object(
        'status', case
            when is_late or staging_rows > 1000000 or months_ahead = 0 then 'alarm'
            else 'ok'
        end,
        'checked_at', now(),
        'staging_rows', staging_rows,
        'replica_lag_seconds', round(extract(epoch from replica_lag)::numeric, 3),
        'peak_writes_per_second', peak_writes,
        'months_ahead', months_ahead
    )
    from fact;
$$;
