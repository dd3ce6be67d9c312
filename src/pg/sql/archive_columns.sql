-- The columns of a table, in order, without dropped ones.
select
  a.attname::text,
  format_type(a.atttypid, a.atttypmod),
  a.attnotnull,
  case when a.attcollation <> t.typcollation then a.attcollation::regcollation::text end,
  pg_get_expr(d.adbin, d.adrelid),
  a.attgenerated <> '',
  case a.attidentity when 'a' then 'always' when 'd' then 'by default' end
from pg_attribute a
join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = to_regclass($1)
  and a.attnum > 0
  and not a.attisdropped
order by a.attnum
