-- The tables of the corpus of plans: small enough to load in a second, large enough to plan well.
SET client_min_messages = warning;
CREATE SCHEMA app;
SET search_path = app, public;

CREATE TABLE customers (id integer PRIMARY KEY, country text NOT NULL, email varchar(80) NOT NULL,
    vip boolean NOT NULL, joined date NOT NULL, manager_id integer);
INSERT INTO customers SELECT i, (ARRAY['de','fr','us','jp','br'])[1 + i % 5], 'user' || i || '@example.com',
    i % 100 = 0, date '2020-01-01' + i % 1500, nullif(i / 10, 0) FROM generate_series(1, 20000) i;

CREATE TABLE orders (id bigint PRIMARY KEY, customer_id integer NOT NULL REFERENCES customers,
    status text NOT NULL, total numeric(10,2) NOT NULL, created_at timestamptz NOT NULL, note text,
    details jsonb NOT NULL);
INSERT INTO orders SELECT i, 1 + (i * 7919) % 20000, CASE WHEN i % 50 = 0 THEN 'open' ELSE 'done' END,
    (i % 1000) + 0.5, timestamptz '2023-01-01 00:00+00' + i * interval '5 minutes', repeat('x', 40),
    jsonb_build_object('sku', 'S' || i % 5000, 'qty', i % 7) FROM generate_series(1, 200000) i;

CREATE TABLE items (order_id bigint NOT NULL, line integer NOT NULL, product_id integer NOT NULL,
    quantity integer NOT NULL, PRIMARY KEY (order_id, line));
INSERT INTO items SELECT i, l, 1 + (i * 31 + l) % 1000, 1 + i % 9
    FROM generate_series(1, 100000) i, generate_series(1, 3) l;

CREATE TABLE products (id integer PRIMARY KEY, name text NOT NULL, price numeric(8,2) NOT NULL);
INSERT INTO products SELECT i, 'product ' || i, i / 10.0 FROM generate_series(1, 1000) i;

-- RANGE by month, twelve partitions.
CREATE TABLE events (id bigint NOT NULL, at timestamptz NOT NULL, user_id integer NOT NULL,
    kind text NOT NULL, payload text) PARTITION BY RANGE (at);
DO $$ BEGIN
    FOR m IN 1..12 LOOP
        EXECUTE format('CREATE TABLE events_%s PARTITION OF events FOR VALUES FROM (%L) TO (%L)',
            to_char(m, 'FM00'), make_timestamptz(2024, m, 1, 0, 0, 0, 'UTC'),
            make_timestamptz(2024, m, 1, 0, 0, 0, 'UTC') + interval '1 month');
    END LOOP;
END $$;
INSERT INTO events SELECT i, timestamptz '2024-01-01 00:00+00' + i * interval '210 seconds', i % 5000,
    (ARRAY['click','view','buy'])[1 + i % 3], repeat('p', 30) FROM generate_series(1, 150000) i;
CREATE INDEX events_at ON events (at);

-- HASH, eight partitions; joins with its like partition by partition.
CREATE TABLE users (id integer NOT NULL, country text NOT NULL, name text NOT NULL) PARTITION BY HASH (id);
CREATE TABLE profiles (user_id integer NOT NULL, bio text) PARTITION BY HASH (user_id);
DO $$ BEGIN
    FOR r IN 0..7 LOOP
        EXECUTE format('CREATE TABLE users_%s PARTITION OF users FOR VALUES WITH (MODULUS 8, REMAINDER %s)', r, r);
        EXECUTE format('CREATE TABLE profiles_%s PARTITION OF profiles FOR VALUES WITH (MODULUS 8, REMAINDER %s)', r, r);
    END LOOP;
END $$;
INSERT INTO users SELECT i, (ARRAY['de','fr','us','jp','br'])[1 + i % 5], 'name' || i FROM generate_series(1, 80000) i;
INSERT INTO profiles SELECT i, repeat('b', 50) FROM generate_series(1, 40000) i;
CREATE INDEX users_id ON users (id);
CREATE INDEX profiles_user_id ON profiles (user_id);

-- Many partitions.
CREATE TABLE metrics (sensor integer NOT NULL, value integer NOT NULL) PARTITION BY LIST (sensor);
DO $$ BEGIN
    FOR s IN 1..200 LOOP
        EXECUTE format('CREATE TABLE metrics_%s PARTITION OF metrics FOR VALUES IN (%s)', s, s);
    END LOOP;
END $$;
INSERT INTO metrics SELECT 1 + i % 200, i FROM generate_series(1, 60000) i;

-- Ordered by time on disk, for BRIN; words, for GIN.
CREATE TABLE readings (at timestamptz NOT NULL, device integer NOT NULL, value real NOT NULL);
INSERT INTO readings SELECT timestamptz '2024-01-01 00:00+00' + i * interval '1 second', i % 100, i
    FROM generate_series(1, 300000) i;

-- Rows of one tenant only, for whom is no superuser.
CREATE TABLE notes (id integer PRIMARY KEY, tenant integer NOT NULL, body text NOT NULL);
INSERT INTO notes SELECT i, i % 200, 'note ' || i FROM generate_series(1, 50000) i;
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'corpus_app') THEN CREATE ROLE corpus_app; END IF;
END $$;
GRANT USAGE ON SCHEMA app TO corpus_app;
GRANT SELECT ON ALL TABLES IN SCHEMA app TO corpus_app;

VACUUM (ANALYZE);
ANALYZE events, users, profiles, metrics;
