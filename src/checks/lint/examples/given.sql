CREATE TABLE accounts (id bigint PRIMARY KEY, country text, plan text, c1 int, c2 int, c3 int,
  c4 int, c5 int, c6 int, c7 int, c8 int, c9 int, c10 int);
CREATE INDEX accounts_c1_idx ON accounts (c1);
CREATE INDEX accounts_c2_idx ON accounts (c2);
CREATE INDEX accounts_c3_idx ON accounts (c3);
CREATE INDEX accounts_c4_idx ON accounts (c4);
CREATE INDEX accounts_c5_idx ON accounts (c5);
CREATE INDEX accounts_c6_idx ON accounts (c6);
CREATE INDEX accounts_c7_idx ON accounts (c7);
CREATE INDEX accounts_c8_idx ON accounts (c8);
CREATE INDEX accounts_c9_idx ON accounts (c9);
CREATE INDEX accounts_c10_idx ON accounts (c10);

CREATE TABLE events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES accounts,
  kind varchar(20),
  note text CONSTRAINT note_present CHECK (note IS NOT NULL),
  created_at timestamptz NOT NULL
);
ALTER TABLE events
  ADD CONSTRAINT created_at_sane CHECK (created_at > '2001-01-01') NOT VALID;
CREATE INDEX events_account_id_created_at_idx ON events (account_id, created_at);

CREATE TABLE settings (name text PRIMARY KEY, value text, position int);
