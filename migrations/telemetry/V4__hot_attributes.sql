-- The current values of the hot attributes, one document per entity: "show this entity" reads one
-- row, and "entities where status is active and region is eu" reads one index.

create table entity_jsonb (
    entity_id  bigint      not null,
    tenant_id  bigint      not null,
    hot_attrs  jsonb       not null default '{}',
    updated_at timestamptz not null default now(),
    constraint entity_jsonb_pkey primary key (entity_id),
    constraint entity_jsonb_entity_id_fkey
        foreign key (entity_id) references entities (entity_id) on delete cascade,
    constraint entity_jsonb_tenant_id_fkey
        foreign key (tenant_id) references tenants (tenant_id)
);

create index entity_jsonb_tenant_id_idx on entity_jsonb (tenant_id);

-- jsonb_path_ops answers only containment (@>), with one entry per path and value: smaller and
-- quicker than the default operator class, which also indexes every key by itself.
create index entity_jsonb_hot_attrs_idx on entity_jsonb using gin (hot_attrs jsonb_path_ops);

-- Merges p_delta into the entity's document and returns the result, so that a writer reads what
-- it wrote without a second trip. A null in p_delta removes the key.
-- Returns null, and changes nothing, if the entity belongs to another tenant.
create function upsert_hot_attrs(p_tenant_id bigint, p_entity_id bigint, p_delta jsonb)
returns jsonb
language sql
as $$
    insert into entity_jsonb as current (entity_id, tenant_id, hot_attrs)
    values (p_entity_id, p_tenant_id, jsonb_strip_nulls(p_delta))
    on conflict (entity_id) do update
        set hot_attrs = jsonb_strip_nulls(current.hot_attrs || p_delta),
            updated_at = now()
        where current.tenant_id = p_tenant_id
    returning hot_attrs;
$$;
