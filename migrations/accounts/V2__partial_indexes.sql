-- The index change: one index for each way the application reads. Most are partial: they hold only
-- the rows that are ever asked for, so they stay small and an update elsewhere does not touch them.

-- Refreshing a session, and listing or expiring a user's sessions.
create index user_sessions_refresh_token_active_idx
    on user_sessions (refresh_token) where is_active;
create index user_sessions_user_id_expires_at_active_idx
    on user_sessions (user_id, refresh_token_expires_at) where is_active;

-- The profile itself; the second column answers "how complete is it" from the index alone.
create index profiles_user_id_completion_idx
    on profiles (user_id, profile_completion_percentage);

create index work_experiences_user_id_current_idx
    on work_experiences (user_id, is_current) where is_current;

-- Counts the unread without reading the table, and lists them newest first without sorting.
create index notifications_user_id_created_at_unread_idx
    on notifications (user_id, created_at desc) where not is_read;

create index api_keys_user_id_active_idx
    on api_keys (user_id, is_active) where is_active;

create index webhooks_business_id_active_idx
    on webhooks (business_id, is_active) where is_active;

-- Also what the policy on webhooks looks up for every query on them.
create index business_profiles_user_id_id_idx
    on business_profiles (user_id, id);
