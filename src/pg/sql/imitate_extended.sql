-- The statistics objects here: of what, and whether there are rows of their own for what partitions
-- and inheriting tables are counted in, which came with 15.
select n.nspname::text, e.stxname::text, tn.nspname::text, t.relname::text,
       e.oid, e.stxkeys::int2[],
       array(
         select a.attname::text
           from unnest(e.stxkeys::int2[]) with ordinality as k(attnum, at)
           join pg_attribute a on a.attrelid = e.stxrelid and a.attnum = k.attnum
          order by k.at
       ),
       coalesce(pg_get_statisticsobjdef_expressions(e.oid), '{}'),
       t.relkind = 'p',
       exists (
         select from pg_attribute
          where attrelid = 'pg_statistic_ext_data'::regclass and attname = 'stxdinherit'
       )
from pg_statistic_ext e
join pg_namespace n on n.oid = e.stxnamespace
join pg_class t on t.oid = e.stxrelid
join pg_namespace tn on tn.oid = t.relnamespace
