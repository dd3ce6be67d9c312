-- The schemas that unqualified names are looked up in.
select current_schemas(false)::text[]
