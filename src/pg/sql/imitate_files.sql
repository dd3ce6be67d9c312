-- The file of each table, materialized view and index, below the data directory; of b-trees also
-- the byte at $1 of it, btm_allequalimage.
select n.nspname::text, c.relname::text, pg_relation_filepath(c.oid), coalesce(a.amname, '')::text,
       case when a.amname = 'btree' then
         (select length(b) = 1 and get_byte(b, 0) <> 0
            from pg_read_binary_file(pg_relation_filepath(c.oid), $1, 1) as b)
       end
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_am a on a.oid = c.relam and c.relkind = 'i'
where c.relkind in ('r', 'm', 'i')
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
