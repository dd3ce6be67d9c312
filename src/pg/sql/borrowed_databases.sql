-- The databases of shadows: of the form of their names, and either owned by a role of the same name
-- whose comment begins with $1, which comes to be in one step, or with such a comment of their own.
select d.datname::text
from pg_database d
join pg_roles o on o.oid = d.datdba
where d.datname ~ '^pgtune_shadow_[0-9a-f]{16}_'
  and (
    (left(d.datname, 30) = o.rolname
      and starts_with(coalesce(shobj_description(o.oid, 'pg_authid'), ''), $1))
    or starts_with(coalesce(shobj_description(d.oid, 'pg_database'), ''), $1)
  )
order by 1
