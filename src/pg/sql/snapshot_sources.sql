-- Where each column of a materialized view comes from, and of the views below it: from the column that
-- the server notes for it (`resorigtbl` of its target entry), or, where it is computed, from each that
-- the view reads.
with recursive reached as (
  select oid as relid from pg_class where relkind = 'm'
  union
  select d.refobjid
  from reached r
  join pg_rewrite w on w.ev_class = r.relid
  join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
    and d.refclassid = 'pg_class'::regclass
  join pg_class c on c.oid = d.refobjid and c.relkind in ('v', 'm')
), entries as materialized (
  -- Also those of subqueries, which may have a number and a name in common with one of the view's own.
  select w.ev_class as relid, entry[1]::int2 as attnum,
         regexp_replace(entry[2], '\\(.)', '\1', 'g') as attname,
         entry[3]::oid as source, entry[4]::int2 as source_attnum
  from reached r
  join pg_rewrite w on w.ev_class = r.relid
  cross join regexp_matches(
    w.ev_action::text,
    ':resno (\d+) :resname ((?:\\.|[^\s\\])+) :ressortgroupref \d+ :resorigtbl (\d+) :resorigcol (\d+)',
    'g'
  ) as entry
), columns as (
  select a.attrelid as relid, a.attnum, a.attname::text as attname
  from reached r
  join pg_attribute a on a.attrelid = r.relid and a.attnum > 0 and not a.attisdropped
), noted as (
  select relid, attnum, e.source, e.source_attnum
  from columns
  left join entries e using (relid, attnum, attname)
), sources as (
  select * from noted where source <> 0
  union
  select n.relid, n.attnum, d.refobjid, d.refobjsubid
  from noted n
  join pg_rewrite w on w.ev_class = n.relid
  join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
    and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.refobjid <> n.relid
  where coalesce(n.source, 0) = 0
)
select vn.nspname::text, v.relname::text, va.attname::text,
       tn.nspname::text, t.relname::text, ta.attname::text
from sources s
join pg_class v on v.oid = s.relid
join pg_namespace vn on vn.oid = v.relnamespace
join pg_attribute va on (va.attrelid, va.attnum) = (s.relid, s.attnum)
join pg_class t on t.oid = s.source
join pg_namespace tn on tn.oid = t.relnamespace
join pg_attribute ta on (ta.attrelid, ta.attnum) = (s.source, s.source_attnum)
