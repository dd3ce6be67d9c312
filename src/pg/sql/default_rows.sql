-- What the DEFAULT partition $1 has of its own: triggers, and whether it is published by its name.
-- A publication of all tables shows whatever is made beside the table, too. Of its parent $2: the
-- columns of its best key, and its foreign keys.
select
  array(select tgname::text from pg_trigger
         where tgrelid = $1::regclass and not tgisinternal and tgparentid = 0 and tgname <> $3
         order by 1),
  exists (select from pg_publication where puballtables)
    or exists (select from pg_publication_tables t
                 join pg_namespace n on n.nspname = t.schemaname
                 join pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
                where c.oid = $1::regclass),
  coalesce((
    select array_agg(a.attname::text order by k.position)
      from (select i.indrelid, i.indkey, i.indnkeyatts
              from pg_index i
             where i.indrelid = $2::regclass and i.indisunique and i.indimmediate and i.indisvalid
               and i.indpred is null and i.indexprs is null
               and not exists (select from pg_attribute a
                                where a.attrelid = i.indrelid and not a.attnotnull
                                  and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
             order by i.indisprimary desc, i.indexrelid
             limit 1) as best
      cross join unnest(best.indkey::int2[]) with ordinality as k(attnum, position)
      join pg_attribute a on a.attrelid = best.indrelid and a.attnum = k.attnum
     where k.position <= best.indnkeyatts), '{}'),
  coalesce((
    select json_agg(json_build_object(
        'name', f.conname,
        'definition', pg_get_constraintdef(f.oid),
        'following', format('FOREIGN KEY (%s) REFERENCES %s (%s) ON DELETE CASCADE',
          (select string_agg(quote_ident(a.attname), ', ' order by k.position)
             from unnest(f.conkey) with ordinality as k(attnum, position)
             join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.attnum),
          f.confrelid::regclass,
          (select string_agg(quote_ident(a.attname), ', ' order by k.position)
             from unnest(f.confkey) with ordinality as k(attnum, position)
             join pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.attnum))
      ) order by f.conname)
      from pg_constraint f
     where f.conrelid = $2::regclass and f.contype = 'f' and f.conparentid = 0), '[]')::text
