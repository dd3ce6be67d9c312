-- The newest $2 changes of plans, oldest first; of the query $1, where one is asked for.
select * from (
  select extract(epoch from now() - a.taken_at)::float8, a.change, a.query, a.parameters, a.verdict,
         b.cost, a.cost, left(b.digest, 8), left(a.digest, 8),
         to_char(a.taken_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
         b.time_ms, a.time_ms, a.parameters_name
  from pgtune_state.plan_history a
  join pgtune_state.plan_history b
    on (b.taken_at, b.change, b.query, b.parameters) = (a.taken_at, a.change, a.query, a.parameters)
   and b.moment = 'before'
  where a.moment = 'after' and ($1::text is null or a.query = $1)
  order by 1, 3, 4
  limit $2
) as newest
order by 1 desc, 3, 4
