CREATE INDEX accounts_country_idx ON accounts (country);
DROP INDEX accounts_c1_idx;
CREATE INDEX accounts_plan_idx ON accounts (plan);
