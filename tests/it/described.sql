-- The schema of a database, a line for each thing, without the tables that pgtune keeps.
-- Inherited NOT NULL constraints may be local as well (docs/migrating.md, PostgreSQL 18).
with relation as (
  select c.oid, c.relkind, c.oid::regclass::text as name, c.reloptions, c.relpartbound
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'pgtune_state')
    and c.relname !~ '^refinery_schema_history'
)
select concat_ws(' ', 'relation', relkind, name, pg_get_expr(relpartbound, oid), reloptions::text)
from relation
union all
select concat_ws(' ', 'part', relation.name, 'of', h.inhparent::regclass, h.inhdetachpending)
from relation join pg_inherits h on h.inhrelid = relation.oid
union all
select concat_ws(' ', 'column', relation.name, a.attnum, quote_ident(a.attname),
  format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
from relation
join pg_attribute a on a.attrelid = relation.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
union all
select concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready, i.indislive,
  i.indisprimary, i.indimmediate)
from relation join pg_index i on i.indexrelid = relation.oid
union all
select concat_ws(' ', 'constraint', relation.name, quote_ident(k.conname),
  pg_get_constraintdef(k.oid), k.convalidated,
  case when k.contype <> 'n' or k.coninhcount = 0 then k.conislocal end, k.coninhcount,
  case when k.conparentid <> 0 then 'inherited' end, nullif(k.conindid, 0)::regclass)
from relation join pg_constraint k on k.conrelid = relation.oid
union all
select concat_ws(' ', 'label', enumtypid::regtype, row_number() over (
  partition by enumtypid order by enumsortorder), enumlabel)
from pg_enum
order by 1
