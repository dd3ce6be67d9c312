-- Roles that rights or policies do not stop, of those that own something here or that $1 names.
select r.rolname::text, r.rolsuper, r.rolbypassrls
from pg_roles r
where (r.rolsuper or r.rolbypassrls)
  and (
    r.rolname = any ($1::text[])
    or exists (select from pg_class c where c.relowner = r.oid and c.oid >= 16384)
  )
order by 1
