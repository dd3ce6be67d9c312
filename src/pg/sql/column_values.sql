-- What the statistics know of the columns $2 of the relations $1: the first, the middle and the last
-- of the most common values, and the bounds of the histogram at $3 per cent. A partition has the
-- values of the table at the top, where that was analyzed, else its own.
select distinct on (asked.relation, asked.attname) asked.relation, asked.attname, m.picked, h.picked
from unnest($1::text[], $2::text[]) as asked(relation, attname)
-- Not to_regclass: the session's role may be one that may not look into the schema.
join pg_namespace rn on rn.nspname = (parse_ident(asked.relation))[1]
join pg_class r on r.relnamespace = rn.oid and r.relname = (parse_ident(asked.relation))[2]
join pg_class c on c.oid in (r.oid, pg_partition_root(r.oid))
join pg_namespace n on n.oid = c.relnamespace
join pg_stats s on (s.schemaname, s.tablename, s.attname) = (n.nspname, c.relname, asked.attname)
cross join lateral (
  select s.most_common_vals::text::text[] as common, s.histogram_bounds::text::text[] as bounds
) as v
cross join lateral (
  select array_agg(v.common[at] order by at) as picked
  from unnest(array[1, (cardinality(v.common) + 1) / 2, cardinality(v.common)]) as at
  where v.common is not null
) as m
cross join lateral (
  select array_agg(v.bounds[1 + (cardinality(v.bounds) - 1) * percent / 100] order by percent) as picked
  from unnest($3::int4[]) as percent
  where v.bounds is not null
) as h
order by asked.relation, asked.attname, c.oid = r.oid, not s.inherited
