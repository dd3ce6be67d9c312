CREATE INDEX events_by_account ON events USING btree (account_id, created_at ASC);
