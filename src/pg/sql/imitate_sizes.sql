-- Makes pg_class say of the relations in the JSON $1 what it says elsewhere.
update pg_class c
   set relpages = r.pages, reltuples = r.tuples, relallvisible = r.all_visible_pages
  from jsonb_to_recordset($1::text::jsonb) as r(
    name text, pages int4, tuples float4, all_visible_pages int4
  )
 where c.oid = to_regclass(r.name)
