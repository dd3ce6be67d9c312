-- Makes pg_class say of the relations in the JSON $1 what it says elsewhere. It keeps
-- numbers of pages, which are unsigned, as signed ones.
update pg_class c
   set relpages = r.pages::bit(32)::int4, reltuples = r.tuples,
       relallvisible = r.all_visible_pages::bit(32)::int4
  from jsonb_to_recordset($1::text::jsonb) as r(
    name text, pages int8, tuples float4, all_visible_pages int8
  )
 where c.oid = to_regclass(r.name)
