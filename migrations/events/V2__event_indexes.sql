-- One index per column somebody filters by, and one for the dashboard: how it usually grows.

create index events_app_id_idx on events (app_id);
create index events_event_type_idx on events (event_type);
create index events_created_at_idx on events (created_at);
create index events_app_id_event_type_created_at_idx on events (app_id, event_type, created_at);
create index events_user_id_idx on events (user_id);
create index events_session_id_idx on events (session_id);
create index events_metadata_idx on events using gin (metadata);
