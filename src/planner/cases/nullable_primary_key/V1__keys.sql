alter table t add primary key (a);
alter table p add constraint p_key primary key (a);
