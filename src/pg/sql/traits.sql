-- What new partitions of the tables $1 have to have, as JSON; $2 are the partitions to take after,
-- one for each, or the table itself where it has none.
select rule.parent, json_build_object(
  'owner', owner.rolname,
  'columns', (select json_agg(a.attname order by a.attnum) from pg_attribute a
               where a.attrelid = parent.oid and a.attnum > 0 and not a.attisdropped
                 and a.attgenerated = ''),
  'grants', coalesce(grants.list, '[]'::json),
  'row_security', parent.relrowsecurity,
  'force_row_security', parent.relforcerowsecurity,
  'policies', coalesce(policies.list, '[]'::json),
  'replica_identity', template.relreplident,
  'replica_index', (select format('%I.%I', n.nspname, c.relname)
                      from pg_index own
                      cross join pg_partition_ancestors(own.indexrelid) as above(relid)
                      join pg_index i on i.indexrelid = above.relid and i.indrelid = parent.oid
                      join pg_class c on c.oid = i.indexrelid
                      join pg_namespace n on n.oid = c.relnamespace
                     where own.indrelid = template.oid and own.indisreplident),
  'storage', coalesce(to_json(template.reloptions), '[]'::json),
  'tablespace', tablespace.spcname,
  'access_method', method.amname,
  'statistics', coalesce(targets.list, '[]'::json),
  'publications', coalesce(publications.list, '[]'::json),
  'identity', exists (select from pg_attribute a
                       where a.attrelid = parent.oid and a.attidentity <> '' and not a.attisdropped)
)::text
from unnest($1::text[], $2::text[]) as rule(parent, template)
join pg_class parent on parent.oid = rule.parent::regclass
join pg_class template on template.oid = rule.template::regclass
join pg_roles owner on owner.oid = parent.relowner
left join pg_tablespace tablespace on tablespace.oid = template.reltablespace
left join pg_am method on method.oid = template.relam and method.amname <> 'heap'
left join lateral (
  select json_agg(json_build_object('role', role, 'column', column_name, 'privileges', privileges,
                                    'grantable', is_grantable) order by role, column_name) as list
  from (
    select grantee.rolname as role, acl.column_name, acl.is_grantable,
           json_agg(acl.privilege_type order by acl.privilege_type) as privileges
    from (
      select null::text as column_name, (aclexplode(parent.relacl)).*
      union all
      select a.attname::text, (aclexplode(a.attacl)).*
        from pg_attribute a
       where a.attrelid = parent.oid and a.attnum > 0 and not a.attisdropped
    ) as acl
    left join pg_roles grantee on grantee.oid = acl.grantee
    where acl.grantee <> parent.relowner
    group by 1, 2, 3
  ) as each
) as grants on true
left join lateral (
  select json_agg(json_build_object(
    'name', p.polname, 'permissive', p.polpermissive,
    'command', case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE'
                             when 'd' then 'DELETE' else 'ALL' end,
    'roles', coalesce((select json_agg(r.rolname order by r.rolname) from pg_roles r
                        where r.oid = any (p.polroles)), '[]'::json),
    'using', case when p.polqual is not null
                  then json_build_array(pg_get_expr(p.polqual, p.polrelid)) end,
    'check', case when p.polwithcheck is not null
                  then json_build_array(pg_get_expr(p.polwithcheck, p.polrelid)) end)
    order by p.polname) as list
  from pg_policy p where p.polrelid = parent.oid
) as policies on true
left join lateral (
  select json_agg(json_build_array(a.attname, a.attstattarget) order by a.attnum) as list
  from pg_attribute a
  where a.attrelid = template.oid and a.attnum > 0 and not a.attisdropped
    and coalesce(a.attstattarget, -1) >= 0
) as targets on true
left join lateral (
  -- Columns and filters came with PostgreSQL 15: as JSON they may be missing.
  select json_agg(json_build_object(
    'name', p.pubname,
    'columns', case when to_jsonb(r) -> 'prattrs' <> 'null' then shown.line -> 'attnames' end,
    'filter', shown.line ->> 'rowfilter') order by p.pubname) as list
  from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
  left join lateral (
    select to_jsonb(t) as line from pg_publication_tables t
    join pg_namespace n on n.nspname = t.schemaname
    where t.pubname = p.pubname and t.tablename = template.relname
      and n.oid = template.relnamespace
  ) as shown on to_jsonb(r) -> 'prattrs' <> 'null' or to_jsonb(r) -> 'prqual' <> 'null'
  where r.prrelid = template.oid and template.oid <> parent.oid
) as publications on true
