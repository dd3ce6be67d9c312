-- The columns of each b-tree, keys first: those of tables by their names, expressions by the name of
-- the index's own column; with their bytes where all values have as many.
select n.nspname::text, c.relname::text, tn.nspname::text, t.relname::text,
       array(
         select case when i.indkey[at] = 0 then ia.attname else ta.attname end::text
           from generate_series(0, i.indnatts - 1) as at
           join pg_attribute ia on ia.attrelid = i.indexrelid and ia.attnum = at + 1
           left join pg_attribute ta on ta.attrelid = i.indrelid and ta.attnum = i.indkey[at]
          order by at
       ),
       array(
         select ia.attlen::int4
           from pg_attribute ia
          where ia.attrelid = i.indexrelid and ia.attnum between 1 and i.indnatts
          order by ia.attnum
       ),
       array(
         select i.indkey[at] = 0 from generate_series(0, i.indnatts - 1) as at order by at
       ),
       i.indnkeyatts::int8, i.indisunique
from pg_index i
join pg_class c on c.oid = i.indexrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_class t on t.oid = i.indrelid
join pg_namespace tn on tn.oid = t.relnamespace
join pg_am a on a.oid = c.relam
where c.relkind = 'i' and a.amname = 'btree'
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
