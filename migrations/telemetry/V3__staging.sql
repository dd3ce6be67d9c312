-- Writers COPY into a table without write-ahead log and without indexes; a flush every 100 ms
-- moves what has arrived into the partitions.
-- The price: a crash empties the staging table, so at most what arrived since the last flush is
-- lost. Writers that cannot afford that COPY into entity_values_ts itself.
-- The staging table is a plain one: a partitioned table cannot be UNLOGGED (an error since
-- PostgreSQL 18, without effect before).

create unlogged table entity_values_ingest (
    tenant_id    bigint      not null,
    entity_id    bigint      not null,
    attribute_id bigint      not null,
    value_int    bigint,
    value_num    numeric,
    value_text   text,
    value_time   timestamptz,
    value_bool   boolean,
    ingested_at  timestamptz not null default now()
) with (
    -- Every row is deleted within a second, so vacuum follows the rows, not the table's size.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0
);

-- Moves up to p_limit rows and returns how many. It is one statement, so a row is deleted here and
-- inserted there, or neither. SKIP LOCKED lets several flushers work side by side: each takes
-- rows that no other has, and a row that another has deleted meanwhile is skipped as well.
-- Rows are found by ctid, which a locked row keeps; so staging needs no key and no index.
-- The body is text, not BEGIN ATOMIC, so that it follows the name entity_values_ts when the
-- table behind it is replaced.
create function stage_flush(p_limit int default 50000) returns bigint
language sql
as $$
    with moved as (
        delete from entity_values_ingest
        where ctid = any (array(
            select ctid from entity_values_ingest limit p_limit for update skip locked
        ))
        returning tenant_id, entity_id, attribute_id,
            value_int, value_num, value_text, value_time, value_bool, ingested_at
    ), stored as (
        insert into entity_values_ts
            (tenant_id, entity_id, attribute_id,
             value_int, value_num, value_text, value_time, value_bool, ingested_at)
        select * from moved
        returning 1
    )
    select count(*) from stored;
$$;
