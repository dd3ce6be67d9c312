-- Whether the copy $1 was begun of the DEFAULT partition $2 as it is now: not rewritten, with the
-- columns of its parent $3, its changes noted in $4 by the columns $5, its trigger $6 at work.
with columns as (
  select a.attrelid, array_agg(concat_ws(' ', a.attname, a.atttypid, a.atttypmod, a.attcollation,
                                         a.attnotnull, a.attgenerated) order by a.attname) as list
    from pg_attribute a
   where a.attnum > 0 and not a.attisdropped and a.attname <> 'pgtune_row'
     and a.attrelid in ($1::regclass, $3::regclass)
   group by a.attrelid
)
select exists (select from pgtune_state.default_copy c
                where c.copy = $1 and c.relid = $2::regclass
                  and c.filenode = pg_relation_filenode($2::regclass))
   and (select count(distinct list) = 1 from columns)
   and array(select attname::text from pg_attribute
              where attrelid = to_regclass($4) and attnum > 0 order by attnum) = $5::text[]
   and exists (select from pg_trigger
                where tgrelid = $2::regclass and tgname = $6 and tgenabled = 'A')
