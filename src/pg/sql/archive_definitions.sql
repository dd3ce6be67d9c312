-- Constraints of a table, and indexes that implement none. NOT NULL (contype 'n', since 18) is said
-- by the columns.
select k.conname::text, pg_get_constraintdef(k.oid), true
  from pg_constraint k
 where k.conrelid = to_regclass($1)
   and k.contype in ('c', 'p', 'u', 'x', 'f')
union all
select c.relname::text, pg_get_indexdef(i.indexrelid), false
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
 where i.indrelid = to_regclass($1)
   and not exists (select from pg_constraint k
                    where k.conindid = i.indexrelid and k.conrelid = i.indrelid)
