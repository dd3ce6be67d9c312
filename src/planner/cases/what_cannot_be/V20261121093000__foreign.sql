create index on p (a);
