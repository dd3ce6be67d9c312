create table if not exists old (a int);
create index on old (a, b);
create index if not exists other on old (a);
create index if not exists broken on old (a);
create table new (a int);
create index on new (a);
