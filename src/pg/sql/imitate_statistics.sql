-- Writes down what ANALYZE found elsewhere, of the columns in the JSON $1. The five slots of a column
-- are of the kinds of pg_statistic.h: 1 most common values, 2 histogram, 3 correlation, 4 most common
-- elements, 5 histogram of their number, 6 histogram of the lengths of ranges, 7 of their bounds, which
-- are ranges also where the column has multiranges. Their operators are those of the type's default b-tree class,
-- as lookup_type_cache finds it.
with recursive asked as (
  select c.*, a.attrelid, a.attnum, a.atttypid, a.attcollation
  from jsonb_to_recordset($1::text::jsonb) as c(
    relation text, attname text, inherited bool, null_frac float4, avg_width int4,
    n_distinct float4,
    k1 int2, n1 text, v1 text, k2 int2, n2 text, v2 text, k3 int2, n3 text, v3 text,
    k4 int2, n4 text, v4 text, k5 int2, n5 text, v5 text
  )
  join pg_attribute a on a.attrelid = to_regclass(c.relation) and a.attname = c.attname
  where a.attnum > 0 and not a.attisdropped
), based as (
  select distinct atttypid as typid, atttypid as base from asked
  union
  select b.typid, t.typbasetype from based b join pg_type t on t.oid = b.base where t.typtype = 'd'
), types as (
  -- What a domain is over, and the elements of arrays. An index of GIN has elements as its columns.
  select b.typid, t.oid as base, coalesce(r.rngtypid, t.oid) as range,
         case when t.typname = 'tsvector' then 'text'::regtype::oid
              when t.typcategory = 'A' then t.typelem
              else t.oid end as element
  from based b
  join pg_type t on t.oid = b.base and t.typtype <> 'd'
  left join pg_range r on r.rngmultitypid = t.oid
), sought as (
  select base as typid from types
  union
  select element from types
), operators as (
  select distinct on (s.typid) s.typid, eq.amopopr as eq, lt.amopopr as lt
  from sought s
  join pg_type t on t.oid = s.typid
  join pg_opclass o on o.opcdefault and o.opcmethod = (select oid from pg_am where amname = 'btree')
   and (
     o.opcintype = t.oid
     or o.opcintype = case
       when t.typcategory = 'A' then 'anyarray'::regtype
       when t.typtype = 'e' then 'anyenum'::regtype
       when t.typtype = 'r' then 'anyrange'::regtype
       when t.typtype = 'm' then 'anymultirange'::regtype
       when t.typtype = 'c' then 'record'::regtype
     end
     or exists (
       select from pg_cast
       where (castsource, casttarget, castmethod, castcontext) = (t.oid, o.opcintype, 'b', 'i')
     )
   )
  join pg_amop eq on (eq.amopfamily, eq.amoplefttype, eq.amoprighttype, eq.amopstrategy)
    = (o.opcfamily, o.opcintype, o.opcintype, 3)
  join pg_amop lt on (lt.amopfamily, lt.amoplefttype, lt.amoprighttype, lt.amopstrategy)
    = (o.opcfamily, o.opcintype, o.opcintype, 1)
  order by s.typid, o.opcintype = t.oid desc, o.oid
)
insert into pg_statistic
select a.attrelid, a.attnum, a.inherited, a.null_frac, a.avg_width, a.n_distinct,
       k1, k2, k3, k4, k5,
       slots.op[1], slots.op[2], slots.op[3], slots.op[4], slots.op[5],
       slots.coll[1], slots.coll[2], slots.coll[3], slots.coll[4], slots.coll[5],
       n1::float4[], n2::float4[], n3::float4[], n4::float4[], n5::float4[],
       array_in(v1::cstring, slots.typ[1], -1),
       array_in(v2::cstring, slots.typ[2], -1),
       array_in(v3::cstring, slots.typ[3], -1),
       array_in(v4::cstring, slots.typ[4], -1),
       array_in(v5::cstring, slots.typ[5], -1)
from asked a
join types t on t.typid = a.atttypid
left join operators own on own.typid = t.base
left join operators of_element on of_element.typid = t.element
cross join lateral (
  select array_agg(coalesce(case s.kind
           when 1 then own.eq
           when 2 then own.lt
           when 3 then own.lt
           when 4 then of_element.eq
           when 5 then of_element.eq
           when 6 then 'pg_catalog.<(float8, float8)'::regoperator::oid
         end, 0) order by s.at) as op,
         array_agg(case when s.kind in (0, 6, 7) then 0 else a.attcollation end order by s.at) as coll,
         array_agg(case s.kind
           when 4 then t.element
           when 6 then 'pg_catalog.float8'::regtype::oid
           when 7 then t.range
           else a.atttypid
         end order by s.at) as typ
  from unnest(array[k1, k2, k3, k4, k5]) with ordinality as s(kind, at)
) as slots
