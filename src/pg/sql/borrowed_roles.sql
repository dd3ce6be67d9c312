-- The roles that shadows made: their comments begin with $1.
select r.rolname::text
from pg_roles r
where starts_with(coalesce(shobj_description(r.oid, 'pg_authid'), ''), $1)
order by 1
