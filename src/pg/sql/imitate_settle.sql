-- Materialized views are empty as their tables are, and may be read. Event triggers but ours are off.
update pg_class set relispopulated = true where relkind = 'm' and not relispopulated;
do $$
declare name name;
begin
  for name in select evtname from pg_event_trigger where evtname <> 'pgtune_shadow' loop
    execute format('alter event trigger %I disable', name);
  end loop;
end $$
;
-- Rows that refer to others may come: those that they refer to are not here.
update pg_trigger set tgenabled = 'D'
where tgisinternal and tgconstraint in (select oid from pg_constraint where contype = 'f')
