-- The new model: one row per user, one typed column per attribute.
-- Hash partitions keep each b-tree and each vacuum small, and a count runs over all of them under
-- one Append. The modulus can be doubled later, one remainder at a time.

create table user_profiles (
    user_id        bigint        not null,
    country        varchar(2),
    tier           varchar(20)   not null default 'free',
    last_active_at timestamptz,
    has_purchased  boolean       not null default false,
    total_spend    numeric(12,2) not null default 0,
    constraint user_profiles_pkey primary key (user_id)
) partition by hash (user_id);

create table user_profiles_p0 partition of user_profiles
    for values with (modulus 8, remainder 0);
create table user_profiles_p1 partition of user_profiles
    for values with (modulus 8, remainder 1);
create table user_profiles_p2 partition of user_profiles
    for values with (modulus 8, remainder 2);
create table user_profiles_p3 partition of user_profiles
    for values with (modulus 8, remainder 3);
create table user_profiles_p4 partition of user_profiles
    for values with (modulus 8, remainder 4);
create table user_profiles_p5 partition of user_profiles
    for values with (modulus 8, remainder 5);
create table user_profiles_p6 partition of user_profiles
    for values with (modulus 8, remainder 6);
create table user_profiles_p7 partition of user_profiles
    for values with (modulus 8, remainder 7);

-- One pass over the old model turns rows into columns. A user without any attribute keeps a row.
-- The rows are written in the order of activity, because the BRIN index of the next migration
-- can skip only what lies together.
insert into user_profiles
    (user_id, country, tier, last_active_at, has_purchased, total_spend)
select
    u.user_id,
    max(a.value) filter (where a.key = 'country'),
    coalesce(max(a.value) filter (where a.key = 'tier'), 'free'),
    max(a.value) filter (where a.key = 'last_active_at')::timestamptz as last_active_at,
    coalesce(max(a.value) filter (where a.key = 'has_purchased')::boolean, false),
    coalesce(max(a.value) filter (where a.key = 'total_spend')::numeric, 0)
from users as u
left join user_attributes as a on a.user_id = u.user_id
group by u.user_id
order by last_active_at;

-- Autovacuum never analyzes a partitioned parent, and has not seen the partitions yet.
analyze user_profiles;
