-- What ANALYZE found of columns: pg_stats shows those of columns that the role may read;
-- what it found of ranges it shows since 17.
select s.schemaname::text, s.tablename::text, s.attname::text, s.inherited,
       s.null_frac, s.avg_width, s.n_distinct, s.correlation,
       coalesce(s.most_common_freqs, '{}'),
       s.most_common_vals::text::text[],
       s.histogram_bounds::text::text[],
       s.most_common_elems::text::text[],
       coalesce(s.most_common_elem_freqs, '{}'),
       coalesce(s.elem_count_histogram, '{}'),
       coalesce(s.range_length_histogram::text::float8[], '{}'),
       s.range_empty_frac,
       s.range_bounds_histogram::text::text[]
from (
  select null::float8[] as range_length_histogram, null::float4 as range_empty_frac,
         null::text as range_bounds_histogram
) as unknown
cross join lateral (
  select t.schemaname, t.tablename, t.attname, t.inherited, t.null_frac, t.avg_width, t.n_distinct,
         t.correlation, t.most_common_freqs, t.most_common_vals, t.histogram_bounds,
         t.most_common_elems, t.most_common_elem_freqs, t.elem_count_histogram,
         range_length_histogram, range_empty_frac, range_bounds_histogram
  from pg_stats t
) as s
where s.schemaname not in ('pg_catalog', 'information_schema', 'pg_toast')
order by 1, 2, 3, 4
