-- What ANALYZE found of columns: pg_stats shows those of columns that the role may read.
select schemaname::text, tablename::text, attname::text, inherited,
       null_frac, avg_width, n_distinct, correlation,
       coalesce(most_common_freqs, '{}'),
       most_common_vals::text::text[],
       histogram_bounds::text::text[],
       most_common_elems::text::text[],
       coalesce(most_common_elem_freqs, '{}'),
       coalesce(elem_count_histogram, '{}')
from pg_stats
where schemaname not in ('pg_catalog', 'information_schema', 'pg_toast')
order by 1, 2, 3, 4
