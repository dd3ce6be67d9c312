-- Of the columns in the JSON $1: the type that they are over, its name as written in SQL, and their
-- collation where it is not the database's. Not of columns that the schema compares with values:
-- keys of partitions, predicates of indexes and CHECK constraints.
with recursive asked as (
  select c.at, a.attrelid, a.attnum, a.attname, a.atttypid, a.attcollation
  from jsonb_to_recordset($1::text::jsonb) as c(at int4, relation text, attname text)
  join pg_attribute a on a.attrelid = to_regclass(c.relation) and a.attname = c.attname
  where a.attnum > 0 and not a.attisdropped
), based as (
  select at, atttypid as base from asked
  union
  select b.at, t.typbasetype from based b join pg_type t on t.oid = b.base where t.typtype = 'd'
), related as (
  select distinct attrelid as oid, attrelid as relative from asked
  union
  select r.oid, i.inhparent from related r join pg_inherits i on i.inhrelid = r.relative
), compared as (
  select r.oid, a.attname
  from related r
  join pg_partitioned_table p on p.partrelid = r.relative
  join pg_attribute a on a.attrelid = p.partrelid and a.attnum = any (p.partattrs::int2[])
  union
  select a.attrelid, a.attname
  from asked a
  join pg_index i on i.indrelid = a.attrelid
  where pg_get_expr(i.indpred, i.indrelid) ~ ('\m' || regexp_replace(a.attname, '\W', '.', 'g') || '\M')
  union
  select a.attrelid, a.attname
  from asked a
  join pg_constraint c on c.conrelid = a.attrelid and c.contype = 'c' and a.attnum = any (c.conkey)
)
select a.at, t.typname::text,
       case when t.typname in ('text', 'varchar', 'name') then 'text'
            -- Blanks at its end do not count.
            when t.typname = 'bpchar' then 'bpchar'
            when t.typname in ('int4', 'int8', 'float4', 'float8') then 'numeric'
            else format_type(t.oid, null) end,
       case when a.attcollation not in (0, d.oid)
            then quote_ident(n.nspname) || '.' || quote_ident(l.collname) end
from asked a
join based b on b.at = a.at
join pg_type t on t.oid = b.base and t.typtype <> 'd'
join pg_namespace tn on tn.oid = t.typnamespace
left join pg_collation l on l.oid = a.attcollation
left join pg_namespace n on n.oid = l.collnamespace
join pg_collation d on d.collname = 'default' and d.collnamespace = 'pg_catalog'::regnamespace
where (tn.nspname = 'pg_catalog' or t.typname = 'citext')
  and not exists (select from compared c where c.oid = a.attrelid and c.attname = a.attname)
