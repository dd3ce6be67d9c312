-- The original design: entity, attribute and value over time in one table with seven indexes.

create table tenants (
    tenant_id  bigint generated always as identity,
    name       text        not null,
    created_at timestamptz not null default now(),
    constraint tenants_pkey primary key (tenant_id),
    constraint tenants_name_key unique (name)
);

-- What can be measured. The hot ones are also kept, current value only, as one document per
-- entity (V4).
create table attributes (
    attribute_id bigint generated always as identity,
    name         text    not null,
    type         text    not null,
    is_hot       boolean not null default false,
    constraint attributes_pkey primary key (attribute_id),
    constraint attributes_name_key unique (name),
    constraint attributes_type_check
        check (type in ('int', 'numeric', 'text', 'timestamptz', 'bool'))
);

create table entities (
    entity_id  bigint generated always as identity,
    tenant_id  bigint      not null,
    version    bigint      not null default 1,
    created_at timestamptz not null default now(),
    constraint entities_pkey primary key (entity_id),
    constraint entities_tenant_id_fkey foreign key (tenant_id) references tenants (tenant_id)
);

create index entities_tenant_id_idx on entities (tenant_id);

-- No foreign keys: each would cost a look-up per value, and writers know the ids from a cache.
create table entity_values (
    value_id     bigint generated always as identity,
    tenant_id    bigint      not null,
    entity_id    bigint      not null,
    attribute_id bigint      not null,
    value_int    bigint,
    value_num    numeric,
    value_text   text,
    value_time   timestamptz,
    value_bool   boolean,
    ingested_at  timestamptz not null default now(),
    constraint entity_values_pkey primary key (value_id),
    constraint entity_values_one_value_check
        check (num_nonnulls(value_int, value_num, value_text, value_time, value_bool) = 1)
);

-- Seven answers to "which query could be slow". Each insert pays for four of them and, where its
-- type has one, for a fifth.
create index entity_values_entity_id_attribute_id_idx
    on entity_values (entity_id, attribute_id);
create index entity_values_tenant_id_attribute_id_idx
    on entity_values (tenant_id, attribute_id);
create index entity_values_attribute_id_ingested_at_idx
    on entity_values (attribute_id, ingested_at);
create index entity_values_ingested_at_idx
    on entity_values (ingested_at);
create index entity_values_attribute_id_value_int_idx
    on entity_values (attribute_id, value_int) where value_int is not null;
create index entity_values_attribute_id_value_num_idx
    on entity_values (attribute_id, value_num) where value_num is not null;
create index entity_values_attribute_id_value_text_idx
    on entity_values (attribute_id, value_text) where value_text is not null;
