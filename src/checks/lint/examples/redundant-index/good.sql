-- The predicate makes it another index, far smaller.
CREATE INDEX events_by_account ON events (account_id) WHERE kind = 'invoice';
