-- Statistics over several columns and on expressions, as far as the role may see them: those of
-- tables of its own. Before 15 nothing says whether partitions were counted in: of partitioned tables
-- they were. Numbers of columns are as the counts name them.
select s.statistics_schemaname::text, s.statistics_name::text, s.schemaname::text, s.tablename::text,
       coalesce(s.inherited, c.relkind = 'p'),
       e.stxkeys::int2[], coalesce(s.attnames, '{}')::text[], coalesce(s.exprs, '{}'),
       s.n_distinct::text, s.dependencies::text,
       to_json(s.most_common_vals)::text,
       coalesce(s.most_common_freqs, '{}'), coalesce(s.most_common_base_freqs, '{}')
from (select null::bool as inherited) as unknown
cross join lateral (
  select t.schemaname, t.tablename, t.statistics_schemaname, t.statistics_name, t.attnames, t.exprs,
         inherited, t.n_distinct, t.dependencies, t.most_common_vals, t.most_common_freqs,
         t.most_common_base_freqs
  from pg_stats_ext t
) as s
join pg_namespace n on n.nspname = s.statistics_schemaname
join pg_statistic_ext e on e.stxnamespace = n.oid and e.stxname = s.statistics_name
join pg_class c on c.oid = e.stxrelid
order by 1, 2, 5
