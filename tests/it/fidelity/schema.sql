-- A shop with what makes planning hard: joins over many tables, partitions by range and hash,
-- indexes of all kinds, skewed and correlated columns, columns that were dropped.
create table regions (id int primary key, name text not null, zone text not null);
insert into regions select i, 'region ' || i, (array['north', 'south', 'east', 'west'])[1 + i % 4]
  from generate_series(1, 40) i;

create table customers (
  id bigint primary key, gone int, region_id int not null references regions, email text not null,
  segment varchar(10) not null, created_at timestamptz not null, score numeric, tags text[] not null,
  settings jsonb not null, is_active boolean not null
);
insert into customers
  select i, 0, 1 + (i * i) % 40, 'user' || i || '@example.com',
         case when i % 100 < 70 then 'basic' when i % 100 < 95 then 'plus' else 'pro' end,
         timestamptz '2024-01-01' + i * interval '20 minutes',
         case when i % 5 = 0 then null else (i * 7919) % 1000 / 10.0 end,
         array['t' || i % 7, 't' || i % 31],
         jsonb_build_object('plan', i % 5, 'locale', (array['en', 'de', 'fr'])[1 + i % 3]),
         i % 20 <> 0
  from generate_series(1, 30000) i;
alter table customers drop column gone;
create index customers_region on customers (region_id);
create unique index customers_email on customers (lower(email));
create index customers_pro on customers (created_at) where segment = 'pro';
create index customers_tags on customers using gin (tags);
create index customers_settings on customers using gin (settings jsonb_path_ops);

create table suppliers (id int primary key, region_id int not null references regions, rating int);
insert into suppliers select i, 1 + i % 40, i % 6 from generate_series(1, 500) i;
create table categories (id int primary key, parent_id int references categories, name text not null);
insert into categories select i, nullif(i / 10, 0), 'category ' || i from generate_series(1, 200) i;
create table products (
  id int primary key, category_id int not null references categories,
  supplier_id int not null references suppliers, name text not null, price numeric(10, 2) not null,
  weight real, attributes jsonb
);
insert into products
  select i, 1 + i % 200, 1 + (i * 3) % 500, 'product ' || md5(i::text), (i * 37) % 5000 / 10.0,
         i % 100, jsonb_build_object('colour', i % 12, 'size', i % 5)
  from generate_series(1, 5000) i;
create index products_category on products (category_id, price);
create index products_name on products (name text_pattern_ops);
create table stock (
  product_id int not null references products, region_id int not null references regions,
  amount int not null, primary key (product_id, region_id)
);
insert into stock select p, r, (p * r) % 50 from generate_series(1, 5000) p, generate_series(1, 8) r;

create table orders (
  id bigint not null, customer_id bigint not null, status text not null, channel text not null,
  placed_at timestamptz not null, total numeric(12, 2) not null, note text,
  primary key (placed_at, id)
) partition by range (placed_at);
create table orders_h1 partition of orders for values from ('2025-01-01') to ('2025-07-01');
create table orders_q3 partition of orders for values from ('2025-07-01') to ('2025-10-01');
create table orders_q4 partition of orders for values from ('2025-10-01') to ('2026-01-01');
create table orders_later partition of orders for values from ('2026-01-01') to ('2027-01-01');
insert into orders
  select i, 1 + (i * 31) % 30000, case when i % 50 = 0 then 'open' when i % 50 = 1 then 'failed'
         else 'paid' end, case when i % 50 = 0 then 'web' else (array['app', 'web', 'shop'])[1 + i % 3]
         end, timestamptz '2025-01-01' + i * interval '4 minutes', (i * 13) % 90000 / 100.0,
         case when i % 10 = 0 then 'note ' || i end
  from generate_series(1, 125000) i;
create index orders_customer on orders (customer_id, placed_at desc);
create index orders_open on orders (placed_at) where status = 'open';

create table order_items (
  order_id bigint not null, line int not null, product_id int not null, amount int not null,
  price numeric(10, 2) not null, primary key (order_id, line)
) partition by hash (order_id);
create table order_items_0 partition of order_items for values with (modulus 4, remainder 0);
create table order_items_1 partition of order_items for values with (modulus 4, remainder 1);
create table order_items_2 partition of order_items for values with (modulus 4, remainder 2);
create table order_items_3 partition of order_items for values with (modulus 4, remainder 3);
insert into order_items
  select i, l, 1 + (i * l * 17) % 5000, 1 + (i + l) % 4, (i * l) % 4000 / 10.0
  from generate_series(1, 100000) i, generate_series(1, 2) l;
create index order_items_product on order_items (product_id);

create table payments (
  id bigint primary key, order_id bigint not null, method text not null, paid_at timestamptz,
  amount numeric(12, 2) not null
);
insert into payments
  select i, i, (array['card', 'card', 'card', 'invoice'])[1 + i % 4],
         timestamptz '2025-01-01' + i * interval '5 minutes', (i * 13) % 90000 / 100.0
  from generate_series(1, 90000) i;
create index payments_order on payments (order_id);

create table visits (
  id bigint not null, customer_id bigint not null, path text not null, at timestamptz not null,
  duration_ms int not null
);
insert into visits
  select i, 1 + (i * 17) % 30000, '/p/' || i % 300, timestamptz '2025-06-01' + i * interval '30 seconds',
         (i * 7) % 60000
  from generate_series(1, 200000) i;
create index visits_at on visits using brin (at) with (pages_per_range = 16);
create table reviews (
  id int primary key, product_id int not null references products, customer_id bigint not null,
  stars int not null, body text not null
);
insert into reviews
  select i, 1 + (i * 7) % 5000, 1 + (i * 13) % 30000, 1 + i % 5, repeat('word' || i % 50 || ' ', 8)
  from generate_series(1, 20000) i;
create index reviews_product on reviews (product_id) include (stars);
create index reviews_body on reviews using gin (to_tsvector('english', body));
create materialized view sales as
  select p.category_id, date_trunc('month', o.placed_at) as month, count(*) as lines
  from orders o join order_items i on i.order_id = o.id join products p on p.id = i.product_id
  group by 1, 2;
create index sales_month on sales (month);
-- Columns that follow from each other, which only extended statistics tell.
create table places (
  id int primary key, gone int, country text not null, city text not null, zip int not null,
  kind char(6) not null, floors int, opened date not null, note text
);
insert into places
  select i, 0, 'country ' || zip / 100, 'City ' || zip / 10, zip, 'kind ' || i % 4,
         case when i % 4 <> 3 then i % 4 end, date '2024-01-01' + i % 700,
         case when i % 8 < 3 then 'said "it, \' || i % 3 end
  from generate_series(1, 40000) i, lateral (select (i::int8 * i) % 1000 as zip) as z;
alter table places drop column gone;
create statistics places_where on zip, country, city from places;
create statistics places_what (dependencies) on kind, floors from places;
create statistics places_when on (date_trunc('month', opened)), (lower(city)), note from places;
create statistics places_day on (extract(dow from opened)) from places;
create statistics orders_how (ndistinct, mcv) on channel, status from orders;
create table bookings (id int primary key, during tstzrange not null, rooms int4multirange);
insert into bookings
  select i, case when i % 10 = 0 then 'empty' else tstzrange(
           timestamptz '2025-01-01' + i * interval '20 minutes',
           timestamptz '2025-01-01' + i * interval '20 minutes' + (1 + i * 7 % 100) * interval '3 hours')
         end, int4multirange(int4range(i % 300, i % 300 + i % 9), int4range(400 + i % 50, 500))
  from generate_series(1, 20000) i;
create statistics orders_status_channel (dependencies, ndistinct) on status, channel from orders_h1;
vacuum analyze;
