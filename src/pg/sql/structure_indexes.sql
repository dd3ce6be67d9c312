-- The indexes of the tables $1 but those of constraints, each cut behind the table's name as in
-- plan_indexes.sql.
select n.nspname::text, c.relname::text, tn.nspname::text, t.relname::text,
       case when i.indisunique then 'UNIQUE ' else '' end || substr(
         pg_get_indexdef(c.oid),
         length(format(
           'CREATE %sINDEX %I ON %s%I.%I ',
           case when i.indisunique then 'UNIQUE ' else '' end,
           c.relname,
           case when c.relkind = 'I' then 'ONLY ' else '' end,
           tn.nspname,
           t.relname
         )) + 1
       )
from unnest($1::text[]) as name
join pg_class t on t.oid = to_regclass(name)
join pg_namespace tn on tn.oid = t.relnamespace
join pg_index i on i.indrelid = t.oid
join pg_class c on c.oid = i.indexrelid
join pg_namespace n on n.oid = c.relnamespace
where not exists (
  select from pg_constraint con
  where con.conindid = c.oid and con.contype in ('p', 'u', 'x')
)
order by 1, 2
