-- What is in columns besides what their names say: the expression of a generated column, the parts of
-- a composite value at any depth (also of arrays and domains of such), and the bodies of functions that
-- a view calls.
with recursive parts (typid, part) as (
  -- Those of the system have no parts.
  select a.atttypid, a.atttypid
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'm', 'v')
  where a.attnum > 0 and not a.attisdropped and a.atttypid >= 16384
  union
  select p.typid, below.oid
  from parts p
  join pg_type t on t.oid = p.part
  cross join lateral (
    select t.typelem as oid where t.typcategory = 'A'
    union all
    select t.typbasetype where t.typtype = 'd'
    union all
    select a.atttypid from pg_attribute a
    where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
  ) as below
), composites as (
  select p.typid, string_agg(distinct a.attname, ' ') as names
  from parts p
  join pg_type t on t.oid = p.part and t.typtype = 'c'
  join pg_attribute a on a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
  group by 1
)
select n.nspname::text, c.relname::text, a.attname::text, pg_get_expr(d.adbin, d.adrelid)
from pg_attribute a
join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
where a.attgenerated <> ''
union all
select n.nspname::text, c.relname::text, a.attname::text, t.names
from pg_attribute a
join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'm', 'v')
join pg_namespace n on n.oid = c.relnamespace
join composites t on t.typid = a.atttypid
where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and a.attnum > 0
union all
select n.nspname::text, c.relname::text, a.attname::text, string_agg(f.prosrc || ' ' || coalesce(pg_get_function_sqlbody(f.oid), ''), ' ')
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_rewrite w on w.ev_class = c.oid
join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
  and d.refclassid = 'pg_proc'::regclass
join pg_proc f on f.oid = d.refobjid
join pg_language l on l.oid = f.prolang and l.lanname not in ('internal', 'c')
where c.relkind in ('m', 'v') and n.nspname not in ('pg_catalog', 'information_schema')
group by 1, 2, 3
