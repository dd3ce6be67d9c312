-- What is in columns besides what their names say: the expression of a generated column, the parts of
-- a composite value, and the columns that one of a materialized view may come from, where none of
-- them has its name.
select n.nspname::text, c.relname::text, a.attname::text, pg_get_expr(d.adbin, d.adrelid)
from pg_attribute a
join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
where a.attgenerated <> ''
union all
select n.nspname::text, c.relname::text, a.attname::text, string_agg(part.attname, ' ')
from pg_attribute a
join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'm')
join pg_namespace n on n.oid = c.relnamespace
join pg_type t on t.oid = a.atttypid and t.typtype = 'c'
join pg_attribute part on part.attrelid = t.typrelid and part.attnum > 0 and not part.attisdropped
where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and a.attnum > 0
group by 1, 2, 3
union all
select n.nspname::text, c.relname::text, a.attname::text, string_agg(source.attname, ' ')
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_rewrite w on w.ev_class = c.oid
join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
  and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.refobjid <> c.oid
join pg_attribute source on source.attrelid = d.refobjid and source.attnum = d.refobjsubid
where c.relkind = 'm'
group by 1, 2, 3
having not bool_or(source.attname = a.attname)
