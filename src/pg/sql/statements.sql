-- Statements of this database, each text once, whoever ran it: how often, and for how many
-- milliseconds. NULL stands for all texts that may not be read or are lost; the last but one column
-- counts the entries. The last one says how many were forgotten for want of room.
select case when query <> '<insufficient privilege>' then query end, sum(calls)::int8,
       sum(total_exec_time), count(*), (select dealloc from {info})::int8
from {statements}
where dbid = (select oid from pg_database where datname = current_database())
  and toplevel
group by 1
