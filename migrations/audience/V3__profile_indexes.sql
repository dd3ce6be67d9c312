-- The index change. Written plainly: pgtune builds each of these online, partition by partition,
-- and attaches the parts to one index on the parent.

-- Counting a country or a tier reads the index alone.
create index user_profiles_country_idx on user_profiles (country);
create index user_profiles_tier_idx on user_profiles (tier);

-- Some kilobytes instead of a b-tree that every visit of every user would have to update.
-- Small ranges (32 pages of 8 kB), because a partition is small, too.
create index user_profiles_last_active_at_idx on user_profiles
    using brin (last_active_at) with (pages_per_range = 32);
