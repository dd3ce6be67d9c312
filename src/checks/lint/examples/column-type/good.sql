CREATE TABLE carts (
  id bigint PRIMARY KEY,
  made_at timestamptz NOT NULL
);
