-- The same values by month. Old months leave by being detached, not by a DELETE, and a query over
-- the last seven days opens one or two partitions.
-- There is no primary key: a value is written once, never updated, and never looked up by an id,
-- so the index would only cost writes.

create table entity_values_ts (
    tenant_id    bigint      not null,
    entity_id    bigint      not null,
    attribute_id bigint      not null,
    value_int    bigint,
    value_num    numeric,
    value_text   text,
    value_time   timestamptz,
    value_bool   boolean,
    ingested_at  timestamptz not null default now(),
    constraint entity_values_ts_one_value_check
        check (num_nonnulls(value_int, value_num, value_text, value_time, value_bool) = 1)
) partition by range (ingested_at);

-- From two months back to three months ahead; `pgtune partitions rotate` goes on from there.
-- There is no DEFAULT partition: a row without a month is a mistake to be seen, and every new
-- partition would have to prove that the DEFAULT holds none of its rows.
-- The months are UTC's whatever the session's time zone: they are computed as timestamps without
-- a zone, and the bounds say +00.
do $$
declare
    this_month constant timestamp := date_trunc('month', now() at time zone 'UTC');
    month timestamp;
begin
    for month in
        select this_month + n * interval '1 month' from generate_series(-2, 3) as n
    loop
        execute format(
            'create table %I partition of entity_values_ts for values from (%L) to (%L)',
            to_char(month, '"entity_values_ts_"YYYY_MM'),
            to_char(month, 'YYYY-MM-DD HH24:MI:SS"+00"'),
            to_char(month + interval '1 month', 'YYYY-MM-DD HH24:MI:SS"+00"')
        );
    end loop;
end
$$;
