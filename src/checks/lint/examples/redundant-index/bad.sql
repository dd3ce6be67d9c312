-- events_account_id_created_at_idx begins with account_id.
CREATE INDEX events_by_account ON events (account_id);
