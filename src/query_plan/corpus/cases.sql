-- The cases of the corpus. Each has a name, the servers before and after, and parts:
--   prepare   what is there before both captures
--   query     what is explained, by `EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS` and the options given
--   change    what happens between the captures
-- `options` are added to EXPLAIN; `after-query` is explained after instead of the query.

-- case: seq-to-index-only  14
-- query
SELECT count(*) FROM app.customers WHERE country = 'de'
-- change
CREATE INDEX customers_country ON app.customers (country);

-- case: index-only-to-seq  15
-- prepare
CREATE INDEX customers_country ON app.customers (country);
-- query
SELECT count(*) FROM app.customers WHERE country = 'de'
-- change
DROP INDEX app.customers_country;

-- case: index-to-seq  16
-- prepare
CREATE INDEX orders_customer ON app.orders (customer_id);
-- query
SELECT * FROM app.orders WHERE customer_id = 42
-- change
DROP INDEX app.orders_customer;

-- case: seq-to-index  17
-- query
SELECT * FROM app.orders WHERE customer_id = 42 AND status = 'open'
-- change
CREATE INDEX orders_customer_status ON app.orders (customer_id, status);

-- case: cond-became-filter  15
-- prepare
CREATE INDEX orders_status_customer ON app.orders (status, customer_id);
CREATE INDEX orders_status ON app.orders (status);
-- query
SELECT * FROM app.orders WHERE status = 'open' AND customer_id BETWEEN 100 AND 2000
-- change
DROP INDEX app.orders_status_customer;

-- case: filter-became-cond  18
-- prepare
CREATE INDEX customers_country ON app.customers (country);
-- query
SELECT * FROM app.customers WHERE country = 'fr' AND joined = date '2021-01-01'
-- change
CREATE INDEX customers_country_joined ON app.customers (country, joined);

-- case: index-only-to-index  14
-- prepare
CREATE INDEX orders_customer_total ON app.orders (customer_id) INCLUDE (total);
CREATE INDEX orders_customer ON app.orders (customer_id);
-- query
SELECT sum(total) FROM app.orders WHERE customer_id = 7
-- change
DROP INDEX app.orders_customer_total;

-- case: index-to-index-only  16
-- prepare
CREATE INDEX orders_customer ON app.orders (customer_id);
-- query
SELECT sum(total) FROM app.orders WHERE customer_id = 7
-- change
CREATE INDEX orders_customer_total ON app.orders (customer_id) INCLUDE (total);

-- case: renamed-index  17
-- prepare
CREATE INDEX orders_customer ON app.orders (customer_id);
-- query
SELECT * FROM app.orders WHERE customer_id = 42
-- change
ALTER INDEX app.orders_customer RENAME TO something_else;

-- case: recreated-index  14
-- prepare
CREATE INDEX orders_customer ON app.orders (customer_id);
-- query
SELECT o.id, c.email FROM app.orders o JOIN app.customers c ON c.id = o.customer_id WHERE o.customer_id < 20
-- change
DROP INDEX app.orders_customer;
CREATE INDEX orders_by_customer ON app.orders USING btree (customer_id);

-- case: dump-restored  16
-- prepare
CREATE INDEX orders_created ON app.orders (created_at DESC);
-- query
SELECT id FROM app.orders WHERE status = 'open' ORDER BY created_at DESC LIMIT 5
-- change
CREATE TABLE app.copied (LIKE app.orders INCLUDING ALL);
INSERT INTO app.copied SELECT * FROM app.orders ORDER BY id;
DROP TABLE app.orders CASCADE;
ALTER TABLE app.copied RENAME TO orders;
VACUUM ANALYZE app.orders;

-- case: same-on-14-and-18  14 18
-- query
SELECT o.id, o.total FROM app.orders o JOIN app.customers c ON c.id = o.customer_id WHERE c.email = 'user77@example.com' AND o.status = 'open'
-- case: same-partitions-on-14-and-17  14 17
-- query
SELECT kind, count(*) FROM app.events e WHERE at >= '2024-03-01 00:00+00' AND at < '2024-06-01 00:00+00' GROUP BY kind ORDER BY kind
-- case: same-initplan-on-16-and-17  16 17
-- query
SELECT * FROM app.orders WHERE total > (SELECT avg(price) FROM app.products) AND id < 100
-- case: same-subplan-on-15-and-18  15 18
-- query
SELECT c.id, (SELECT max(o.total) FROM app.orders o WHERE o.id = c.id) AS most FROM app.customers c WHERE c.id < 50
-- case: same-not-in-on-16-and-18  16 18
-- query
SELECT count(*) FROM app.customers WHERE id NOT IN (SELECT manager_id FROM app.customers WHERE manager_id < 100)
-- case: same-exists-or-on-14-and-17  14 17
-- query
SELECT p.id FROM app.products p WHERE p.price < 5 OR EXISTS (SELECT 1 FROM app.items i WHERE i.order_id = p.id AND i.line = 1)
-- case: same-window-on-17-and-18  17 18
-- query
SELECT id, row_number() OVER (ORDER BY price DESC) FROM app.products
-- case: same-analyzed-on-15-and-18  15 18
-- options ANALYZE, BUFFERS, TIMING OFF
-- query
SELECT count(*) FROM app.products WHERE price > 10::numeric

-- case: inserted-sort  15
-- prepare
CREATE INDEX orders_created ON app.orders (created_at);
-- query
SELECT id, created_at FROM app.orders ORDER BY created_at LIMIT 10
-- change
DROP INDEX app.orders_created;

-- case: sort-gone  18
-- query
SELECT id, created_at FROM app.orders WHERE status = 'open' ORDER BY created_at DESC LIMIT 10
-- change
CREATE INDEX orders_open ON app.orders (created_at DESC) WHERE status = 'open';

-- case: incremental-sort  16
-- prepare
SET max_parallel_workers_per_gather = 0;
-- query
SELECT id FROM app.orders ORDER BY customer_id, total LIMIT 100
-- change
CREATE INDEX orders_customer ON app.orders (customer_id);

-- case: memoize-gained  17
-- prepare
SET max_parallel_workers_per_gather = 0;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
ALTER TABLE app.products DROP CONSTRAINT products_pkey;
-- query
SELECT i.line, p.name FROM app.items i JOIN app.products p ON p.id = i.product_id WHERE i.order_id < 3000
-- change
ALTER TABLE app.products ADD PRIMARY KEY (id);

-- case: gather-lost  14
-- query
SELECT count(*) FROM app.orders WHERE note LIKE '%y%'
-- change
SET max_parallel_workers_per_gather = 0;

-- case: gather-lost-same-settings  18
-- query
SELECT count(*), sum(total) FROM app.orders WHERE note LIKE '%y%'
-- change
ALTER TABLE app.orders SET (parallel_workers = 0);

-- case: fewer-workers  15
-- prepare
SET max_parallel_workers_per_gather = 4;
ALTER TABLE app.orders SET (parallel_workers = 4);
-- query
SELECT sum(total) FROM app.orders
-- change
ALTER TABLE app.orders SET (parallel_workers = 2);

-- case: gather-gained  17
-- prepare
ALTER TABLE app.items SET (parallel_workers = 0);
-- query
SELECT avg(quantity) FROM app.items
-- change
ALTER TABLE app.items SET (parallel_workers = 2);

-- case: parallel-index-to-plain-index  16
-- query
SELECT max(total) FROM app.orders WHERE created_at > '2024-12-01 00:00+00'
-- change
CREATE INDEX orders_created_total ON app.orders (created_at) INCLUDE (total);

-- case: pruning-lost  17
-- query
SELECT count(*) FROM app.events WHERE at >= '2024-05-01 00:00+00' AND at < '2024-05-20 00:00+00'
-- after-query
SELECT count(*) FROM app.events WHERE at + interval '0' >= '2024-05-01 00:00+00' AND at < '2025-05-20 00:00+00'

-- case: pruning-gained  14
-- query
SELECT * FROM app.events WHERE user_id = 5
-- change
BEGIN;
CREATE TABLE app.events_new (LIKE app.events) PARTITION BY LIST (user_id);
CREATE TABLE app.events_new_5 PARTITION OF app.events_new FOR VALUES IN (5);
CREATE TABLE app.events_new_rest PARTITION OF app.events_new DEFAULT;
INSERT INTO app.events_new SELECT * FROM app.events;
DROP TABLE app.events;
ALTER TABLE app.events_new RENAME TO events;
COMMIT;
ANALYZE app.events;

-- case: partition-attached  18
-- query
SELECT max(user_id) FROM app.events
-- change
CREATE TABLE app.events_13 PARTITION OF app.events FOR VALUES FROM ('2025-01-01 00:00+00') TO ('2025-02-01 00:00+00');

-- case: partition-detached  15
-- query
SELECT id FROM app.events WHERE kind = 'buy' AND user_id < 5
-- change
ALTER TABLE app.events DETACH PARTITION app.events_01;

-- case: partitions-index-only  16
-- query
SELECT count(*) FROM app.users WHERE country = 'de'
-- change
CREATE INDEX users_country ON app.users (country);

-- case: partitions-half-built  15
-- query
SELECT count(*) FROM app.users WHERE country = 'de'
-- change
CREATE INDEX users_country ON ONLY app.users (country);
CREATE INDEX users_0_country ON app.users_0 (country);
CREATE INDEX users_1_country ON app.users_1 (country);
CREATE INDEX users_2_country ON app.users_2 (country);
VACUUM app.users_0, app.users_1, app.users_2;

-- case: partitions-one-index-lost  17
-- prepare
CREATE INDEX users_0_country ON app.users_0 (country);
CREATE INDEX users_1_country ON app.users_1 (country);
CREATE INDEX users_2_country ON app.users_2 (country);
CREATE INDEX users_3_country ON app.users_3 (country);
CREATE INDEX users_4_country ON app.users_4 (country);
CREATE INDEX users_5_country ON app.users_5 (country);
CREATE INDEX users_6_country ON app.users_6 (country);
CREATE INDEX users_7_country ON app.users_7 (country);
-- query
SELECT count(*) FROM app.users WHERE country = 'de'
-- change
DROP INDEX app.users_4_country;

-- case: partitionwise-join  18
-- prepare
SET enable_partitionwise_join = on;
SET max_parallel_workers_per_gather = 0;
-- query
SELECT u.name, p.bio FROM app.users u JOIN app.profiles p ON p.user_id = u.id WHERE u.country = 'jp'
-- change
CREATE INDEX users_country ON app.users (country) INCLUDE (id, name);

-- case: merge-append  14
-- query
SELECT id FROM app.events ORDER BY at DESC, id LIMIT 20
-- change
CREATE INDEX events_at_id ON app.events (at DESC, id);

-- case: merge-append-of-hash  16
-- query
SELECT id, name FROM app.users ORDER BY name LIMIT 20
-- change
CREATE INDEX users_name ON app.users (name);

-- case: many-partitions  15
-- query
SELECT max(value) FROM app.metrics
-- change
CREATE INDEX metrics_value ON app.metrics (value);

-- case: many-partitions-same  17
-- prepare
SET max_parallel_workers_per_gather = 0;
-- query
SELECT count(*) FROM app.metrics WHERE value > 100
-- change
ALTER TABLE app.metrics DETACH PARTITION app.metrics_200;

-- case: subplans-removed  16
-- prepare
PREPARE p (timestamptz) AS SELECT count(*) FROM app.events WHERE at >= $1 AND kind = 'buy';
SET plan_cache_mode = force_generic_plan;
-- query
EXECUTE p ('2024-11-01 00:00+00')
-- change
CREATE INDEX events_kind_at ON app.events (kind, at);

-- case: subplans-removed-others  14
-- prepare
PREPARE p (timestamptz) AS SELECT count(*) FROM app.events WHERE at >= $1;
SET plan_cache_mode = force_generic_plan;
-- query
EXECUTE p ('2024-11-01 00:00+00')
-- after-query
EXECUTE p ('2024-06-01 00:00+00')

-- case: generic-plan  17
-- mode generic
-- options GENERIC_PLAN
-- query
SELECT * FROM app.orders WHERE customer_id = $1 AND status = $2
-- change
CREATE INDEX orders_customer ON app.orders (customer_id);

-- case: generic-against-custom  15
-- mode generic estimate
-- prepare
PREPARE p (text) AS SELECT count(*) FROM app.orders WHERE status = $1;
CREATE INDEX orders_status ON app.orders (status);
SET plan_cache_mode = force_generic_plan;
-- query
EXECUTE p ('open')
-- change
RESET plan_cache_mode;

-- case: self-join  14
-- query
SELECT a.email, b.email FROM app.customers a JOIN app.customers b ON b.id = a.manager_id WHERE a.joined = date '2021-03-01'
-- change
CREATE INDEX customers_joined ON app.customers (joined);

-- case: self-join-other-side  18
-- query
SELECT a.email FROM app.customers a JOIN app.customers b ON b.manager_id = a.id WHERE a.country = 'de' AND b.email = 'user5@example.com'
-- change
CREATE INDEX customers_email ON app.customers (email);

-- case: joins-by-index  17
-- query
SELECT c.email, p.name FROM app.customers c JOIN app.orders o ON o.customer_id = c.id JOIN app.items i ON i.order_id = o.id JOIN app.products p ON p.id = i.product_id WHERE c.email = 'user9@example.com' AND p.price < 90
-- change
CREATE INDEX customers_email ON app.customers (email);
CREATE INDEX orders_customer ON app.orders (customer_id);

-- case: join-reordered  17
-- prepare
CREATE INDEX customers_email ON app.customers (email);
CREATE INDEX orders_customer ON app.orders (customer_id);
CREATE INDEX items_product ON app.items (product_id);
-- query
SELECT c.email, o.total FROM app.customers c JOIN app.orders o ON o.customer_id = c.id JOIN app.items i ON i.order_id = o.id WHERE c.email = 'user9@example.com' AND i.product_id = 5
-- change
DROP INDEX app.orders_customer;

-- case: joins-driven-by-index  15
-- query
SELECT c.email, o.total FROM app.customers c JOIN app.orders o ON o.customer_id = c.id JOIN app.items i ON i.order_id = o.id WHERE c.vip AND i.product_id = 5
-- change
CREATE INDEX items_product ON app.items (product_id);

-- case: hash-to-nested-loop  16
-- query
SELECT c.email, o.total FROM app.customers c JOIN app.orders o ON o.customer_id = c.id WHERE c.joined = date '2021-03-01'
-- change
CREATE INDEX orders_customer ON app.orders (customer_id);

-- case: nested-loop-loses-inner-index  14
-- prepare
CREATE INDEX orders_customer ON app.orders (customer_id);
SET enable_hashjoin = off;
SET enable_mergejoin = off;
-- query
SELECT c.email, o.total FROM app.customers c JOIN app.orders o ON o.customer_id = c.id WHERE c.id = 5 OR c.id = 7
-- change
DROP INDEX app.orders_customer;

-- case: merge-to-hash  16
-- prepare
SET max_parallel_workers_per_gather = 0;
-- query
SELECT o.id, i.line FROM app.items i JOIN app.orders o ON o.id = i.order_id
-- change
ALTER TABLE app.items DROP CONSTRAINT items_pkey;

-- case: loop-to-hash-and-sort  18
-- prepare
SET max_parallel_workers_per_gather = 0;
CREATE INDEX items_product ON app.items (product_id) INCLUDE (quantity);
-- query
SELECT p.id, i.quantity FROM app.items i JOIN app.products p ON p.id = i.product_id ORDER BY p.id
-- change
DROP INDEX app.items_product;

-- case: join-left-out  16
-- prepare
CREATE TABLE app.tags (product_id integer, tag text);
INSERT INTO app.tags SELECT i, 't' || i FROM generate_series(1, 1000) i;
ANALYZE app.tags;
-- query
SELECT p.name FROM app.products p LEFT JOIN app.tags t ON t.product_id = p.id WHERE p.price < 20
-- change
ALTER TABLE app.tags ADD UNIQUE (product_id);

-- case: full-join  15
-- query
SELECT count(*) FROM app.products p FULL JOIN app.items i ON i.product_id = p.id
-- change
CREATE INDEX items_product ON app.items (product_id);

-- case: anti-join  17
-- prepare
SET max_parallel_workers_per_gather = 0;
-- query
SELECT c.id FROM app.customers c WHERE c.vip AND NOT EXISTS (SELECT 1 FROM app.orders o WHERE o.customer_id = c.id AND o.status = 'open')
-- change
CREATE INDEX orders_open_customer ON app.orders (customer_id) WHERE status = 'open';

-- case: lateral  14
-- query
SELECT c.id, last.total FROM app.customers c, LATERAL (SELECT o.total FROM app.orders o WHERE o.customer_id = c.id ORDER BY o.created_at DESC LIMIT 1) last WHERE c.id <= 3
-- change
CREATE INDEX orders_customer_created ON app.orders (customer_id, created_at DESC);

-- case: cte-materialized  16
-- query
WITH recent AS NOT MATERIALIZED (SELECT * FROM app.orders WHERE created_at > '2024-11-01 00:00+00') SELECT count(*) FROM recent r WHERE r.status = 'open'
-- after-query
WITH recent AS MATERIALIZED (SELECT * FROM app.orders WHERE created_at > '2024-11-01 00:00+00') SELECT count(*) FROM recent r WHERE r.status = 'open'

-- case: cte-inlined  18
-- query
WITH recent AS MATERIALIZED (SELECT * FROM app.orders WHERE created_at > '2024-11-01 00:00+00') SELECT * FROM recent r JOIN app.customers c ON c.id = r.customer_id WHERE c.email = 'user3@example.com'
-- after-query
WITH recent AS NOT MATERIALIZED (SELECT * FROM app.orders WHERE created_at > '2024-11-01 00:00+00') SELECT * FROM recent r JOIN app.customers c ON c.id = r.customer_id WHERE c.email = 'user3@example.com'

-- case: cte-inside  17
-- query
WITH open AS MATERIALIZED (SELECT customer_id, total FROM app.orders WHERE status = 'open') SELECT a.customer_id, a.total FROM open a JOIN open b ON b.customer_id = a.customer_id AND b.total > a.total
-- change
CREATE INDEX orders_status ON app.orders (status) INCLUDE (customer_id, total);

-- case: recursive-cte  15
-- query
WITH RECURSIVE chain AS (SELECT id, manager_id FROM app.customers WHERE id = 19999 UNION ALL SELECT c.id, c.manager_id FROM app.customers c JOIN chain ON c.id = chain.manager_id) SELECT * FROM chain
-- change
CREATE INDEX customers_email ON app.customers (email);

-- case: initplan  14
-- query
SELECT * FROM app.orders WHERE id = 5 AND total > (SELECT max(o.total) FROM app.orders o WHERE o.customer_id = 9)
-- change
CREATE INDEX orders_customer ON app.orders (customer_id);

-- case: subplan  18
-- query
SELECT p.id, (SELECT count(*) FROM app.items i WHERE i.product_id = p.id) FROM app.products p WHERE p.id < 10
-- change
CREATE INDEX items_product ON app.items (product_id);

-- case: hashed-subplan  16
-- query
SELECT count(*) FROM app.orders WHERE customer_id NOT IN (SELECT id FROM app.customers WHERE country = 'jp')
-- change
CREATE INDEX customers_country ON app.customers (country) INCLUDE (id);

-- case: bitmap-to-index  15
-- prepare
CREATE INDEX orders_customer ON app.orders (customer_id);
-- query
SELECT * FROM app.orders WHERE customer_id BETWEEN 10 AND 30
-- change
CLUSTER app.orders USING orders_customer;
VACUUM ANALYZE app.orders;

-- case: index-to-bitmap  17
-- prepare
CREATE INDEX orders_created ON app.orders (created_at);
-- query
SELECT * FROM app.orders WHERE created_at BETWEEN '2023-05-01 00:00+00' AND '2023-05-03 00:00+00'
-- change
CREATE TABLE app.copied (LIKE app.orders INCLUDING ALL);
INSERT INTO app.copied SELECT * FROM app.orders ORDER BY md5(id::text);
DROP TABLE app.orders CASCADE;
ALTER TABLE app.copied RENAME TO orders;
VACUUM ANALYZE app.orders;

-- case: bitmap-and  14
-- prepare
CREATE INDEX orders_status ON app.orders (status);
-- query
SELECT count(*) FROM app.orders WHERE status = 'open' AND total BETWEEN 10 AND 30
-- change
CREATE INDEX orders_total ON app.orders (total);

-- case: bitmap-or  18
-- query
SELECT * FROM app.orders WHERE customer_id = 3 OR created_at = '2023-05-05 00:00+00'
-- change
CREATE INDEX orders_customer ON app.orders (customer_id);
CREATE INDEX orders_created ON app.orders (created_at);

-- case: brin  16
-- query
SELECT max(value) FROM app.readings WHERE at BETWEEN '2024-01-02 00:00+00' AND '2024-01-02 01:00+00'
-- change
CREATE INDEX readings_at ON app.readings USING brin (at) WITH (pages_per_range = 16);

-- case: brin-to-btree  17
-- prepare
CREATE INDEX readings_at ON app.readings USING brin (at);
-- query
SELECT max(value) FROM app.readings WHERE at BETWEEN '2024-01-02 00:00+00' AND '2024-01-02 01:00+00'
-- change
CREATE INDEX readings_at_b ON app.readings (at);

-- case: gin  15
-- query
SELECT id FROM app.orders WHERE details @> '{"sku": "S42"}'
-- change
CREATE INDEX orders_details ON app.orders USING gin (details jsonb_path_ops);

-- case: expression-index  14
-- query
SELECT * FROM app.customers WHERE lower(email) = 'user5@example.com'
-- change
CREATE INDEX customers_lower_email ON app.customers (lower(email));
ANALYZE app.customers;

-- case: partial-index  16
-- query
SELECT * FROM app.orders WHERE status = 'open' AND customer_id = 17
-- change
CREATE INDEX orders_open_customer ON app.orders (customer_id) WHERE status = 'open';

-- case: other-index-same-scan  18
-- prepare
CREATE INDEX orders_customer ON app.orders (customer_id);
-- query
SELECT id FROM app.orders WHERE customer_id = 17 AND created_at > '2024-06-01 00:00+00'
-- change
CREATE INDEX orders_customer_created ON app.orders (customer_id, created_at);

-- case: backward-scan  17
-- prepare
CREATE INDEX orders_created ON app.orders (created_at);
-- query
SELECT id FROM app.orders ORDER BY created_at DESC LIMIT 3
-- change
CREATE INDEX orders_created_desc ON app.orders (created_at DESC) INCLUDE (id);

-- case: row-security  15
-- role corpus_app
-- query
SELECT * FROM app.notes WHERE id < 1000
-- change
ALTER TABLE app.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON app.notes USING (tenant = coalesce(current_setting('app.tenant', true), '1')::integer);

-- case: row-security-index  16
-- role corpus_app
-- prepare
ALTER TABLE app.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON app.notes USING (tenant = coalesce(current_setting('app.tenant', true), '1')::integer);
-- query
SELECT * FROM app.notes
-- change
CREATE INDEX notes_tenant ON app.notes (tenant);

-- case: spill  14
-- options ANALYZE, BUFFERS, TIMING OFF
-- prepare
SET max_parallel_workers_per_gather = 0;
SET work_mem = '64MB';
-- query
SELECT id, note FROM app.orders ORDER BY total, id
-- change
ALTER TABLE app.orders ALTER note TYPE text USING repeat(note, 12);
VACUUM ANALYZE app.orders;

-- case: spill-by-settings  17
-- options ANALYZE, BUFFERS, TIMING OFF
-- prepare
SET max_parallel_workers_per_gather = 0;
SET work_mem = '64MB';
-- query
SELECT id FROM app.items JOIN app.orders ON orders.id = items.order_id ORDER BY quantity, total
-- change
SET work_mem = '1MB';

-- case: analyzed-index  18
-- options ANALYZE, BUFFERS, TIMING OFF
-- prepare
SET max_parallel_workers_per_gather = 0;
-- query
SELECT sum(total) FROM app.orders WHERE customer_id = 77
-- change
CREATE INDEX orders_customer ON app.orders (customer_id) INCLUDE (total);
VACUUM app.orders;

-- case: analyzed-worse-than-estimated  15
-- options ANALYZE, BUFFERS, TIMING OFF
-- prepare
SET max_parallel_workers_per_gather = 0;
-- query
SELECT * FROM app.orders WHERE customer_id % 2 = 3 ORDER BY total LIMIT 1
-- change
CREATE INDEX orders_total ON app.orders (total);

-- case: analyzed-dropped  16
-- options ANALYZE, BUFFERS, TIMING OFF
-- prepare
CREATE INDEX events_user ON app.events (user_id);
VACUUM ANALYZE app.events;
-- query
SELECT count(*) FROM app.events WHERE user_id = 4
-- change
DROP INDEX app.events_user;

-- case: analyzed-parallel  17
-- options ANALYZE, BUFFERS, TIMING OFF
-- query
SELECT count(*) FROM app.orders WHERE note LIKE '%z'
-- change
CREATE INDEX orders_customer ON app.orders (customer_id);

-- case: update  14
-- query
UPDATE app.orders SET status = 'done' WHERE customer_id = 8 AND status = 'open'
-- change
CREATE INDEX orders_customer ON app.orders (customer_id);

-- case: update-partitions  16
-- query
UPDATE app.events SET kind = 'view' WHERE user_id = 8 AND at >= '2024-10-01 00:00+00'
-- change
CREATE INDEX events_user ON app.events (user_id);

-- case: delete  18
-- query
DELETE FROM app.customers WHERE email = 'user1@example.com'
-- change
CREATE UNIQUE INDEX customers_email ON app.customers (email);

-- case: insert-on-conflict  15
-- query
INSERT INTO app.products SELECT id, 'x', 1 FROM app.products WHERE id < 5 ON CONFLICT (id) DO UPDATE SET name = excluded.name
-- change
ALTER INDEX app.products_pkey RENAME TO products_key;

-- case: merge-statement  17
-- query
MERGE INTO app.products p USING (SELECT product_id, count(*) AS n FROM app.items WHERE order_id < 100 GROUP BY product_id) s ON s.product_id = p.id WHEN MATCHED THEN UPDATE SET price = s.n
-- change
CREATE INDEX items_product ON app.items (product_id);

-- case: aggregate-strategy  14
-- prepare
SET max_parallel_workers_per_gather = 0;
-- query
SELECT customer_id, count(*) FROM app.orders GROUP BY customer_id ORDER BY customer_id
-- change
CREATE INDEX orders_customer ON app.orders (customer_id);

-- case: distinct  18
-- prepare
SET max_parallel_workers_per_gather = 0;
-- query
SELECT DISTINCT customer_id FROM app.orders WHERE customer_id < 500
-- change
CREATE INDEX orders_customer ON app.orders (customer_id);

-- case: min-max  15
-- query
SELECT min(created_at), max(created_at) FROM app.orders
-- change
CREATE INDEX orders_created ON app.orders (created_at);

-- case: window  16
-- prepare
SET max_parallel_workers_per_gather = 0;
-- query
SELECT id, rank() OVER (PARTITION BY customer_id ORDER BY created_at) FROM app.orders WHERE customer_id < 50
-- change
CREATE INDEX orders_customer_created ON app.orders (customer_id, created_at);

-- case: union  17
-- query
SELECT id FROM app.customers WHERE country = 'de' UNION SELECT id FROM app.products WHERE price > 50
-- change
CREATE INDEX customers_country ON app.customers (country) INCLUDE (id);

-- case: union-all-same-table  14
-- query
SELECT id FROM app.orders WHERE customer_id = 1 UNION ALL SELECT id FROM app.orders WHERE created_at = '2023-02-02 00:00+00'
-- change
CREATE INDEX orders_customer ON app.orders (customer_id);

-- case: except  15
-- query
SELECT id FROM app.customers WHERE vip EXCEPT SELECT customer_id FROM app.orders WHERE status = 'open'
-- change
CREATE INDEX orders_status ON app.orders (status) INCLUDE (customer_id);

-- case: except-on-17-and-18  17 18
-- query
SELECT id FROM app.products EXCEPT SELECT product_id FROM app.items WHERE order_id < 50

-- case: values  18
-- query
SELECT c.email FROM (VALUES (1), (2), (3)) v (id) JOIN app.customers c ON c.manager_id = v.id
-- change
CREATE INDEX customers_manager ON app.customers (manager_id);

-- case: function-scan  16
-- query
SELECT g, c.email FROM generate_series(1, 5) g JOIN app.customers c ON c.manager_id = g
-- change
CREATE INDEX customers_manager ON app.customers (manager_id);

-- case: subquery-scan  17
-- query
SELECT * FROM (SELECT customer_id, count(*) AS n FROM app.orders WHERE customer_id < 300 GROUP BY customer_id OFFSET 0) s WHERE s.n > 9
-- change
CREATE INDEX orders_customer ON app.orders (customer_id);

-- case: limit-tie  18
-- rival 1.01
-- prepare
CREATE INDEX orders_customer ON app.orders (customer_id);
-- query
SELECT * FROM app.orders WHERE customer_id = 42 AND status = 'done'
-- change
CREATE INDEX orders_customer_id ON app.orders (customer_id, id);
DROP INDEX app.orders_customer;

-- case: grown-table  14
-- query
SELECT * FROM app.products WHERE price > 5
-- change
INSERT INTO app.products SELECT i, 'product ' || i, i / 10.0 FROM generate_series(1001, 40000) i;
ANALYZE app.products;

-- case: settings-differ  15
-- query
SELECT * FROM app.orders WHERE customer_id = 42
-- change
SET random_page_cost = 1.1;

-- case: fails-after  16
-- query
SELECT note FROM app.orders WHERE id = 1
-- change
ALTER TABLE app.orders DROP COLUMN note;

-- case: fails-before  17
-- query
SELECT slug FROM app.products WHERE id = 1
-- change
ALTER TABLE app.products ADD COLUMN slug text;

-- case: nothing-changed  18
-- query
SELECT c.country, count(*) FROM app.orders o JOIN app.customers c ON c.id = o.customer_id GROUP BY c.country ORDER BY 2 DESC

-- case: constant-false  14
-- query
SELECT * FROM app.customers WHERE id = 5
-- after-query
SELECT * FROM app.customers WHERE id = 5 AND false

-- case: left-loop-loses-inner-index  17
-- prepare
CREATE INDEX orders_customer ON app.orders (customer_id);
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET max_parallel_workers_per_gather = 0;
-- query
SELECT c.email, o.total FROM app.customers c LEFT JOIN app.orders o ON o.customer_id = c.id WHERE c.id < 4
-- change
DROP INDEX app.orders_customer;

-- case: partitions-with-subplan  15
-- prepare
SET max_parallel_workers_per_gather = 0;
-- query
SELECT count(*) FROM app.events e WHERE e.kind = 'buy' AND (e.user_id > 4990 OR EXISTS (SELECT 1 FROM app.notes n WHERE n.id = e.user_id AND n.tenant = 3))
-- change
CREATE INDEX notes_tenant ON app.notes (tenant) INCLUDE (id);

-- case: same-partitions-with-subplan-on-14-and-18  14 18
-- prepare
SET max_parallel_workers_per_gather = 0;
-- query
SELECT count(*) FROM app.users u WHERE u.name = (SELECT max(name) FROM app.products) OR u.id IN (SELECT manager_id FROM app.customers WHERE id < 50)

-- case: partitions-with-correlated-subplan  14
-- query
SELECT count(*) FROM app.events e WHERE e.id = (SELECT max(n.id) FROM app.notes n WHERE n.tenant = e.user_id) AND e.at > '2024-09-01 00:00+00'
-- change
CREATE INDEX notes_tenant ON app.notes (tenant, id);
