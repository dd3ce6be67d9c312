-- A web application's database as it grew: every table has a primary key, few have an index for
-- the way they are read. PostgreSQL does not index foreign keys by itself.

-- Roles belong to the whole server, so another database may have made them already. Where only an
-- administrator may create roles, let them do it first; this block then finds them.
do $$
declare
    role_name text;
begin
    -- accounts_app acts for the signed-in user, accounts_auth for nobody yet: it signs users in.
    foreach role_name in array array['accounts_app', 'accounts_auth'] loop
        begin
            if to_regrole(role_name) is null then
                execute format('create role %I nologin', role_name);
            end if;
        exception
            -- Another session was quicker.
            when duplicate_object or unique_violation then null;
        end;
    end loop;
end
$$;

create table users (
    id         bigint generated always as identity,
    email      text        not null,
    name       text        not null,
    is_active  boolean     not null default true,
    created_at timestamptz not null default now(),
    constraint users_pkey primary key (id),
    constraint users_email_key unique (email)
);

create table user_sessions (
    id                       bigint generated always as identity,
    user_id                  bigint      not null,
    refresh_token            text        not null,
    refresh_token_expires_at timestamptz not null,
    is_active                boolean     not null default true,
    user_agent               text,
    created_at               timestamptz not null default now(),
    constraint user_sessions_pkey primary key (id),
    constraint user_sessions_user_id_fkey
        foreign key (user_id) references users (id) on delete cascade
);

create table profiles (
    id                            bigint generated always as identity,
    user_id                       bigint      not null,
    headline                      text,
    biography                     text,
    location                      text,
    profile_completion_percentage int         not null default 0,
    updated_at                    timestamptz not null default now(),
    constraint profiles_pkey primary key (id),
    constraint profiles_user_id_fkey
        foreign key (user_id) references users (id) on delete cascade,
    constraint profiles_completion_check check (profile_completion_percentage between 0 and 100)
);

create table work_experiences (
    id         bigint generated always as identity,
    user_id    bigint  not null,
    company    text    not null,
    title      text    not null,
    started_on date    not null,
    ended_on   date,
    is_current boolean not null default false,
    constraint work_experiences_pkey primary key (id),
    constraint work_experiences_user_id_fkey
        foreign key (user_id) references users (id) on delete cascade,
    constraint work_experiences_current_check check (not is_current or ended_on is null)
);

create table notifications (
    id         bigint generated always as identity,
    user_id    bigint      not null,
    kind       text        not null,
    body       text        not null,
    is_read    boolean     not null default false,
    created_at timestamptz not null default now(),
    constraint notifications_pkey primary key (id),
    constraint notifications_user_id_fkey
        foreign key (user_id) references users (id) on delete cascade
);

create table business_profiles (
    id         bigint generated always as identity,
    user_id    bigint      not null,
    name       text        not null,
    industry   text,
    created_at timestamptz not null default now(),
    constraint business_profiles_pkey primary key (id),
    constraint business_profiles_user_id_fkey
        foreign key (user_id) references users (id) on delete cascade
);

create table api_keys (
    id           bigint generated always as identity,
    user_id      bigint      not null,
    name         text        not null,
    key_hash     text        not null,
    is_active    boolean     not null default true,
    last_used_at timestamptz,
    created_at   timestamptz not null default now(),
    constraint api_keys_pkey primary key (id),
    constraint api_keys_key_hash_key unique (key_hash),
    constraint api_keys_user_id_fkey
        foreign key (user_id) references users (id) on delete cascade
);

create table webhooks (
    id          bigint generated always as identity,
    business_id bigint      not null,
    url         text        not null,
    event_kind  text        not null,
    is_active   boolean     not null default true,
    created_at  timestamptz not null default now(),
    constraint webhooks_pkey primary key (id),
    constraint webhooks_business_id_fkey
        foreign key (business_id) references business_profiles (id) on delete cascade
);

create table pin_verifications (
    id          bigint generated always as identity,
    user_id     bigint      not null,
    pin_hash    text        not null,
    attempts    int         not null default 0,
    expires_at  timestamptz not null,
    verified_at timestamptz,
    created_at  timestamptz not null default now(),
    constraint pin_verifications_pkey primary key (id),
    constraint pin_verifications_user_id_fkey
        foreign key (user_id) references users (id) on delete cascade
);

-- One row per API call, by month; a primary key of a partitioned table contains the partition key.
create table api_usage_logs (
    id          bigint generated always as identity,
    api_key_id  bigint      not null,
    user_id     bigint      not null,
    endpoint    text        not null,
    status_code smallint    not null,
    duration_ms int         not null,
    created_at  timestamptz not null default now(),
    constraint api_usage_logs_pkey primary key (id, created_at),
    constraint api_usage_logs_api_key_id_fkey
        foreign key (api_key_id) references api_keys (id) on delete cascade
) partition by range (created_at);

create index api_usage_logs_api_key_id_created_at_idx on api_usage_logs (api_key_id, created_at);

-- From two months back to three months ahead, in UTC whatever the session's time zone: the months
-- are computed as timestamps without a zone, and the bounds say +00.
do $$
declare
    this_month constant timestamp := date_trunc('month', now() at time zone 'UTC');
    month timestamp;
begin
    for month in
        select this_month + n * interval '1 month' from generate_series(-2, 3) as n
    loop
        execute format(
            'create table %I partition of api_usage_logs for values from (%L) to (%L)',
            to_char(month, '"api_usage_logs_"YYYY_MM'),
            to_char(month, 'YYYY-MM-DD HH24:MI:SS"+00"'),
            to_char(month + interval '1 month', 'YYYY-MM-DD HH24:MI:SS"+00"')
        );
    end loop;
end
$$;

-- Row-level security: the application says who is signed in, `set local app.user_id = '42'` in
-- each transaction, and sees only that user's rows. The owner of the tables is not restricted.
-- In each policy
--   * (select ...) makes the setting an init plan: read once per query, and usable as an index
--     condition, where the bare call would be evaluated for every row;
--   * true, "missing ok", and nullif make a session without the setting see nothing instead of
--     failing: after a transaction with SET LOCAL the setting is an empty string, not absent.
alter table users enable row level security;
alter table user_sessions enable row level security;
alter table profiles enable row level security;
alter table work_experiences enable row level security;
alter table notifications enable row level security;
alter table business_profiles enable row level security;
alter table api_keys enable row level security;
alter table webhooks enable row level security;
alter table api_usage_logs enable row level security;
alter table pin_verifications enable row level security;

create policy users_self on users to accounts_app
    using (id = (select nullif(current_setting('app.user_id', true), '')::bigint));
create policy user_sessions_own on user_sessions to accounts_app
    using (user_id = (select nullif(current_setting('app.user_id', true), '')::bigint));
create policy profiles_own on profiles to accounts_app
    using (user_id = (select nullif(current_setting('app.user_id', true), '')::bigint));
create policy work_experiences_own on work_experiences to accounts_app
    using (user_id = (select nullif(current_setting('app.user_id', true), '')::bigint));
create policy notifications_own on notifications to accounts_app
    using (user_id = (select nullif(current_setting('app.user_id', true), '')::bigint));
create policy business_profiles_own on business_profiles to accounts_app
    using (user_id = (select nullif(current_setting('app.user_id', true), '')::bigint));
create policy api_keys_own on api_keys to accounts_app
    using (user_id = (select nullif(current_setting('app.user_id', true), '')::bigint));
create policy api_usage_logs_own on api_usage_logs to accounts_app
    using (user_id = (select nullif(current_setting('app.user_id', true), '')::bigint));

-- A webhook belongs to a business, and through it to a user.
create policy webhooks_own on webhooks to accounts_app
    using (business_id in (
        select b.id
        from business_profiles as b
        where b.user_id = (select nullif(current_setting('app.user_id', true), '')::bigint)
    ));

-- Signing in happens before there is a user to name: the session is found by its secret token.
create policy users_sign_in on users for select to accounts_auth using (true);
create policy user_sessions_sign_in on user_sessions to accounts_auth using (true);
create policy pin_verifications_sign_in on pin_verifications to accounts_auth using (true);

grant select, insert, update, delete
    on users, user_sessions, profiles, work_experiences, notifications, business_profiles,
        api_keys, webhooks
    to accounts_app;
grant select, insert on api_usage_logs to accounts_app;
grant select on users to accounts_auth;
grant select, insert, update, delete on user_sessions, pin_verifications to accounts_auth;
