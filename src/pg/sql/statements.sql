-- Statements of this database that rows can be planned for, the dearest first, up to the share $1
-- of all time; each text once, whoever ran it. How many were forgotten for want of room.
select query, calls, (select dealloc from {info})::int8
from (
  select query, sum(calls)::int8 as calls, sum(total_exec_time) as time,
         sum(sum(total_exec_time)) over (order by sum(total_exec_time) desc, query) as so_far,
         sum(sum(total_exec_time)) over () as whole
  from {statements}
  where dbid = (select oid from pg_database where datname = current_database())
    and toplevel
    and query ~* '^\s*(/\*.*\*/)?\s*\(*\s*(select|with|insert|update|delete|merge|values|table)\M'
  group by query
) as each
where so_far - time < $1 * whole
order by time desc, query
