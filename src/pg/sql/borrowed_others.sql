-- What is on a server besides shadows, which have comments that begin with $1: bytes, and the
-- database of somebody's session that is open for longer than a probe would be.
with of_others as (
  select d.oid, d.datname
  from pg_database d
  where not starts_with(coalesce(shobj_description(d.datdba, 'pg_authid'), ''), $1)
    and not starts_with(coalesce(shobj_description(d.oid, 'pg_database'), ''), $1)
)
select (select coalesce(sum(pg_database_size(oid)), 0)::int8 from of_others),
       (
         select d.datname::text
           from pg_stat_activity a join of_others d on d.oid = a.datid
          where a.backend_type = 'client backend' and a.pid <> pg_backend_pid()
            and a.application_name not like 'pgtune%'
            and a.backend_start < clock_timestamp() - interval '10 s'
          order by a.backend_start
          limit 1
       )
