-- name: customer_by_id
select * from customers where id = 4711;
-- name: customer_by_email
select * from customers where lower(email) = 'user77@example.com';
-- name: customers_of_region
select count(*) from customers where region_id = 7;
-- name: customers_of_zone
select count(*) from customers c join regions r on r.id = c.region_id where r.zone = 'north';
-- name: pro_since
select * from customers where segment = 'pro' and created_at >= '2025-01-01' order by created_at limit 20;
-- name: pro_all
select count(*) from customers where segment = 'pro';
-- name: basic_since
select count(*) from customers where segment = 'basic' and created_at >= '2025-02-01';
-- name: score_range
select id from customers where score between 10 and 11;
-- name: score_active
select id from customers where is_active and score > 99;
-- name: score_null
select count(*) from customers where score is null;
-- name: tagged
select count(*) from customers where tags @> array['t3'];
-- name: tagged_rare
select count(*) from customers where tags @> array['t3', 't30'];
-- name: settings_plan
select count(*) from customers where settings @> '{"plan": 3}';
-- name: newest_customers
select id, email from customers order by created_at desc limit 10;
-- name: segments
select segment, count(*) from customers group by segment;
-- name: regions_segments
select region_id, segment, count(*) from customers group by 1, 2;
-- name: products_of_category
select * from products where category_id = 12 order by price limit 5;
-- name: products_priced
select count(*) from products where price < 10;
-- name: products_like
select * from products where name like 'product ab%';
-- name: products_of_supplier
select * from products where supplier_id = 100;
-- name: products_coloured
select count(*) from products where attributes @> '{"colour": 7}';
-- name: supplier_join
select s.id, count(*) from suppliers s join products p on p.supplier_id = s.id where s.rating = 5 group by s.id;
-- name: stock_empty
select * from stock where region_id = 3 and amount = 0;
-- name: stock_of_product
select * from stock where product_id = 99;
-- name: order_by_key
select * from orders where id = 5000 and placed_at = '2025-01-14 21:20:00+00';
-- name: orders_of_customer
select * from orders where customer_id = 4711 order by placed_at desc limit 10;
-- name: orders_open
select * from orders where status = 'open' and placed_at >= '2025-11-01' order by placed_at;
-- name: orders_failed
select count(*) from orders where status = 'failed';
-- name: orders_of_day
select count(*), sum(total) from orders where placed_at >= '2025-08-01' and placed_at < '2025-08-02';
-- name: orders_of_quarter
select channel, count(*) from orders where placed_at >= '2025-07-01' and placed_at < '2025-10-01' group by 1;
-- name: orders_dear
select id from orders where total > 890 order by total desc limit 20;
-- name: orders_web_open
select count(*) from orders where status = 'open' and channel = 'web';
-- name: orders_noted
select count(*) from orders where note is not null;
-- name: orders_months
select date_trunc('month', placed_at) as m, count(*) from orders group by 1 order by 1;
-- name: order_with_items
select * from orders o join order_items i on i.order_id = o.id where o.placed_at = '2025-03-01' and o.id = 100;
-- name: items_of_order
select * from order_items where order_id = 12345;
-- name: items_of_product
select count(*) from order_items where product_id = 77;
-- name: items_dear
select count(*) from order_items where price > 395;
-- name: top_products
select product_id, sum(amount) from order_items group by 1 order by 2 desc limit 10;
-- name: payments_of_order
select * from payments where order_id = 999;
-- name: payments_by_invoice
select count(*) from payments where method = 'invoice' and paid_at >= '2025-10-01';
-- name: payments_of_week
select sum(amount) from payments where paid_at >= '2025-06-01' and paid_at < '2025-06-08';
-- name: unpaid
select count(*) from orders o left join payments p on p.order_id = o.id where p.id is null and o.placed_at >= '2025-12-01';
-- name: visits_of_hour
select count(*) from visits where at >= '2025-07-01' and at < '2025-07-01 01:00';
-- name: visits_of_customer
select * from visits where customer_id = 42 order by at desc limit 5;
-- name: visits_of_path
select sum(duration_ms) from visits where path = '/p/7';
-- name: visits_long
select count(*) from visits where duration_ms > 59000;
-- name: reviews_of_product
select avg(stars) from reviews where product_id = 1234;
-- name: reviews_of_customer
select * from reviews where customer_id = 500;
-- name: reviews_words
select count(*) from reviews where to_tsvector('english', body) @@ to_tsquery('english', 'word7');
-- name: sales_of_month
select * from sales where month = '2025-03-01' order by lines desc limit 5;
-- name: category_tree
with recursive t as (select id, parent_id from categories where id = 5 union all select c.id, c.parent_id from categories c join t on c.parent_id = t.id) select count(*) from t;
-- name: exists_review
select count(*) from products p where exists (select from reviews r where r.product_id = p.id and r.stars = 1);
-- name: not_reviewed
select count(*) from products p where not exists (select from reviews r where r.product_id = p.id);
-- name: best_customer
select c.id, (select max(o.total) from orders o where o.customer_id = c.id) from customers c where c.region_id = 3 limit 20;
-- name: self_join
select count(*) from reviews a join reviews b on b.product_id = a.product_id and b.id > a.id where a.stars = 5 and b.stars = 1;
-- name: four_tables
select r.zone, count(*) from customers c join regions r on r.id = c.region_id join orders o on o.customer_id = c.id join payments p on p.order_id = o.id where o.placed_at >= '2025-11-15' group by 1;
-- name: six_tables
select cat.name, sum(i.amount) from orders o join order_items i on i.order_id = o.id join products p on p.id = i.product_id join categories cat on cat.id = p.category_id join suppliers s on s.id = p.supplier_id join regions r on r.id = s.region_id where o.placed_at >= '2025-12-20' and r.zone = 'west' group by 1;
-- name: eight_tables
select r.name, cat.name, count(*) from customers c join regions r on r.id = c.region_id join orders o on o.customer_id = c.id join order_items i on i.order_id = o.id join products p on p.id = i.product_id join categories cat on cat.id = p.category_id join suppliers s on s.id = p.supplier_id join payments pay on pay.order_id = o.id where o.status = 'open' and o.placed_at >= '2025-10-01' and s.rating = 3 group by 1, 2;
-- name: nine_tables
select count(*) from customers c join regions r on r.id = c.region_id join orders o on o.customer_id = c.id join order_items i on i.order_id = o.id join products p on p.id = i.product_id join categories cat on cat.id = p.category_id join suppliers s on s.id = p.supplier_id join reviews v on v.product_id = p.id join stock k on k.product_id = p.id and k.region_id = r.id where c.id = 77;
-- name: big_hash_join
select count(*) from orders o join customers c on c.id = o.customer_id where c.segment = 'plus' and o.status = 'paid';
-- name: union_of_two
select id from orders where total > 895 union select order_id from payments where amount > 895;
-- name: window
select id, rank() over (partition by channel order by total desc) from orders where placed_at >= '2025-12-15';
-- name: distinct_paths
select distinct path from visits;
-- name: in_list
select * from products where id in (1, 50, 700, 4999);
-- name: or_condition
select count(*) from orders where customer_id = 5 or total > 899;
-- name: update_stock
update stock set amount = amount - 1 where product_id = 5 and region_id = 2;
-- name: delete_visits
delete from visits where at < '2025-06-02';
-- name: lateral_latest
select c.id, o.* from customers c cross join lateral (select id, total from orders o where o.customer_id = c.id order by placed_at desc limit 1) o where c.region_id = 9;
-- name: places_of_city
select * from places where country = 'country 3' and city = 'City 36';
-- name: places_of_other_city
select * from places where country = 'country 4' and city = 'City 36' and zip < 600;
-- name: places_of_kind
select * from places where kind = 'kind 2' and floors = 2;
-- name: places_noted
select * from places where note is null and lower(city) = 'city 36';
-- name: places_of_month
select count(*) from places where date_trunc('month', opened) = '2024-05-01' and note = 'said "it, \1';
-- name: places_by_city
select country, city, count(*) from places group by 1, 2;
-- name: places_by_zip
select zip, city, count(*) from places group by 1, 2;
-- name: places_by_month
select date_trunc('month', opened), lower(city), count(*) from places group by 1, 2;
-- name: places_by_day
select extract(dow from opened), count(*) from places group by 1;
-- name: places_orders_by_channel
select channel, status, count(*) from orders group by 1, 2;
-- name: places_orders_shop_failed
select count(*) from orders where channel = 'shop' and status = 'failed';
-- name: places_and_orders
select p.city, count(*) from places p join orders o on o.id = p.id where p.country = 'country 3' and p.city = 'City 36' and o.status = 'open' group by 1;
-- name: bookings_of_days
select * from bookings where during && tstzrange('2025-02-01', '2025-02-04');
-- name: bookings_at
select * from bookings where during @> timestamptz '2025-03-01 12:00';
-- name: bookings_of_rooms
select * from bookings where rooms <@ '{[10, 460)}'::int4multirange;
-- name: bookings_before
select * from bookings where during << tstzrange('2025-01-20', null) and not isempty(during);
