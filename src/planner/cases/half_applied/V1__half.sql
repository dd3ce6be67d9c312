alter table t add column c int;
drop index gone;
drop index old;
