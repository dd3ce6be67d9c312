-- An event store as it begins: one table that everything is appended to.

create table apps (
    app_id     bigint generated always as identity,
    name       text        not null,
    created_at timestamptz not null default now(),
    constraint apps_pkey primary key (app_id),
    constraint apps_name_key unique (name)
);

-- Keys that applications send events with; only their hashes are stored.
create table api_keys (
    api_key_id bigint generated always as identity,
    app_id     bigint      not null,
    key_hash   text        not null,
    is_active  boolean     not null default true,
    created_at timestamptz not null default now(),
    constraint api_keys_pkey primary key (api_key_id),
    constraint api_keys_key_hash_key unique (key_hash),
    constraint api_keys_app_id_fkey foreign key (app_id) references apps (app_id)
);

create index api_keys_app_id_idx on api_keys (app_id);

-- Not partitioned yet; `pgtune partitions convert` does that online.
create table events (
    id         bigint generated always as identity,
    app_id     bigint      not null,
    event_type text        not null,
    user_id    bigint,
    session_id uuid,
    created_at timestamptz not null default now(),
    metadata   jsonb       not null default '{}',
    constraint events_pkey primary key (id),
    constraint events_app_id_fkey foreign key (app_id) references apps (app_id)
);
