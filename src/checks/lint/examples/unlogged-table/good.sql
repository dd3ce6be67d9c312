CREATE TABLE carts (id bigint PRIMARY KEY, items jsonb);
