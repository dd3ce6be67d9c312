CREATE TABLE invoices (
  id bigint PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES accounts,
  total numeric NOT NULL
);
CREATE INDEX ON invoices (account_id, total);
