-- What ANALYZE found of expressions of extended statistics, in the form of snapshot_columns.sql; the
-- statistics object and the expression at the end.
select s.schemaname::text, s.tablename::text,
       'expr' || coalesce(nullif(
         array_position(pg_get_statisticsobjdef_expressions(e.oid), s.expr) - 1, 0)::text, ''),
       coalesce(s.inherited, c.relkind = 'p'),
       s.null_frac, s.avg_width, s.n_distinct, s.correlation,
       coalesce(s.most_common_freqs, '{}'),
       s.most_common_vals::text::text[],
       s.histogram_bounds::text::text[],
       s.most_common_elems::text::text[],
       coalesce(s.most_common_elem_freqs, '{}'),
       coalesce(s.elem_count_histogram, '{}'),
       coalesce(s.range_length_histogram::text::float8[], '{}'),
       s.range_empty_frac,
       s.range_bounds_histogram::text::text[],
       s.statistics_schemaname::text, s.statistics_name::text, s.expr
from (
  select null::bool as inherited, null::float8[] as range_length_histogram,
         null::float4 as range_empty_frac, null::text as range_bounds_histogram
) as unknown
cross join lateral (
  select t.schemaname, t.tablename, t.statistics_schemaname, t.statistics_name, t.expr, inherited,
         t.null_frac, t.avg_width, t.n_distinct, t.correlation, t.most_common_freqs,
         t.most_common_vals, t.histogram_bounds, t.most_common_elems, t.most_common_elem_freqs,
         t.elem_count_histogram, range_length_histogram, range_empty_frac, range_bounds_histogram
  from pg_stats_ext_exprs t
) as s
join pg_namespace n on n.nspname = s.statistics_schemaname
join pg_statistic_ext e on e.stxnamespace = n.oid and e.stxname = s.statistics_name
join pg_class c on c.oid = e.stxrelid
where s.null_frac is not null
order by 18, 19, 4, 3
