CREATE TABLE carts (
  id bigint PRIMARY KEY,
  made_at timestamp NOT NULL
);
