-- What the DEFAULT partition $1 has of its own: triggers, and whether it is published by its name.
-- A publication of all tables shows whatever is made beside the table, too.
select
  array(select tgname::text from pg_trigger
         where tgrelid = $1::regclass and not tgisinternal and tgparentid = 0 order by 1),
  exists (select from pg_publication where puballtables)
    or exists (select from pg_publication_tables t
                 join pg_namespace n on n.nspname = t.schemaname
                 join pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
                where c.oid = $1::regclass)
