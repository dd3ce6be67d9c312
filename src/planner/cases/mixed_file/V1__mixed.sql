set maintenance_work_mem = '1GB';
alter table t add column c int references u (id);
create index on t (c);
alter type mood add value 'fine';
create table fresh (m mood default 'fine');
create index on fresh (m);
vacuum t;
-- pgtune: as-written
create index plain on t (b);
