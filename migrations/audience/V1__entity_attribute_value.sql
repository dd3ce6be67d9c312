-- The old model: one row per user and attribute, every value as text.
-- Adding an attribute needs no migration, and that is all it is good at: a filter over three
-- attributes joins this table to itself three times.

create table users (
    user_id bigint generated always as identity,
    constraint users_pkey primary key (user_id)
);

create table user_attributes (
    user_id bigint not null,
    key     text   not null,
    value   text   not null,
    constraint user_attributes_pkey primary key (user_id, key),
    constraint user_attributes_user_id_fkey
        foreign key (user_id) references users (user_id) on delete cascade
);

-- The indexes such a table usually has: "who has this attribute", "who has this value".
create index user_attributes_key_idx on user_attributes (key);
create index user_attributes_key_value_idx on user_attributes (key, value);
