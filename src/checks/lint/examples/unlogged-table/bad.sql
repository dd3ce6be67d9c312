CREATE UNLOGGED TABLE carts (id bigint PRIMARY KEY, items jsonb);
