-- Relations that an application's statements are about: neither the system's, nor pgtune's own, nor
-- those of extensions.
select n.nspname::text, c.relname::text
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f')
  and n.nspname not in ('pg_catalog', 'information_schema', 'pgtune_state')
  and n.nspname !~ '^pg_(toast|temp)'
  and c.oid is distinct from to_regclass($1)
  and not exists (select from pg_depend d
                  where (d.classid, d.objid) = ('pg_class'::regclass, c.oid) and d.deptype = 'e')
