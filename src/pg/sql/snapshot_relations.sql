-- How large tables and indexes are, what they are told to be like, and how often they were read and
-- written. The real size of a file is what the planner asks for; it takes ACCESS SHARE for a moment.
-- Relations of extensions are made by these. Numbers of pages are unsigned, but kept as signed ones;
-- -1 is "never".
select n.nspname::text, c.relname::text, c.relkind::text,
       case when c.relkind in ('r', 'm', 'i') then
         coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::int8
       else 0 end::int8,
       c.relpages + case when c.relpages < -1 then 4294967296 else 0 end,
       c.reltuples::float8,
       c.relallvisible + case when c.relallvisible < -1 then 4294967296 else 0 end,
       case when c.relkind in ('i', 'I') then a.amname::text else '' end,
       coalesce(c.reloptions, '{}')::text[],
       tn.nspname::text, t.relname::text, pg_get_indexdef(i.indexrelid),
       case when c.relkind in ('r', 'm') then pg_stat_get_tuples_inserted(c.oid) end,
       case when c.relkind in ('r', 'm') then pg_stat_get_tuples_updated(c.oid) end,
       case when c.relkind in ('r', 'm') then pg_stat_get_tuples_hot_updated(c.oid) end,
       case when c.relkind in ('r', 'm') then pg_stat_get_tuples_deleted(c.oid) end,
       case when c.relkind in ('r', 'm') then pg_stat_get_numscans(c.oid) end,
       case when c.relkind = 'i' then pg_stat_get_numscans(c.oid) end,
       target.greatest,
       coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0)
         / current_setting('block_size')::int8
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_am a on a.oid = c.relam
left join pg_index i on i.indexrelid = c.oid
left join pg_class t on t.oid = i.indrelid
left join pg_namespace tn on tn.oid = t.relnamespace
left join (
  select attrelid, max(attstattarget)::int8 as greatest
  from pg_attribute
  where attstattarget > 0 and attnum > 0 and not attisdropped
  group by attrelid
) target on target.attrelid = c.oid
where c.relkind in ('r', 'm', 'i', 'p', 'I', 'f')
  and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  and n.nspname !~ '^pg_temp_'
order by 1, 2
