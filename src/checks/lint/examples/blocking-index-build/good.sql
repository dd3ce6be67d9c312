-- pgtune builds it concurrently, and finishes it after a crash.
CREATE INDEX events_kind_idx ON events (kind);
