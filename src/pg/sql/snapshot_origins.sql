-- What is in columns besides what their names say: the expression of a generated column, the parts of
-- a composite value.
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
