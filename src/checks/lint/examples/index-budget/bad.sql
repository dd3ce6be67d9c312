-- The twelfth and thirteenth index of accounts.
CREATE INDEX accounts_country_idx ON accounts (country);
CREATE INDEX accounts_plan_idx ON accounts (plan);
