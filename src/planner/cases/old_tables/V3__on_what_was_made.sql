create index on made (a);
create index other on old (b);
alter table made add unique (a);
drop index kept;
