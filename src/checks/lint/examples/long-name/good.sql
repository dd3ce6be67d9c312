CREATE INDEX events_kind_created_at_idx ON events (kind, created_at);
