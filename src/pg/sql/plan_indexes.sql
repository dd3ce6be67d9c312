-- The indexes of the relations $1, and what each indexes, cut behind the table's name as in
-- indexes.sql. One that is gone meanwhile has no definition.
select n.nspname::text, c.relname::text,
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
from (
  -- Not to_regclass: the session's role may be one that may not look into the schema.
  select c.oid as relid
  from unnest($1::text[]) as name
  join pg_namespace n on n.nspname = (parse_ident(name))[1]
  join pg_class c on c.relnamespace = n.oid and c.relname = (parse_ident(name))[2]
) as asked
join pg_index i on i.indrelid = asked.relid
join pg_class c on c.oid = i.indexrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_class t on t.oid = i.indrelid
join pg_namespace tn on tn.oid = t.relnamespace
where pg_get_indexdef(c.oid) is not null
