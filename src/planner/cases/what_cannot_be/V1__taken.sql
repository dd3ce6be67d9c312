create index taken on t (a);
