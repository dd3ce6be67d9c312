-- What the first pages of b-trees and of GIN indexes say: how high the planner takes a tree to be, and
-- what GIN counted when it was built or vacuumed. Functions of the extension pageinspect.
select n.nspname::text, c.relname::text, b.fastlevel::int8,
       g.n_pending_pages::int8, g.n_total_pages::int8, g.n_entry_pages::int8, g.n_data_pages::int8,
       g.n_entries::int8
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_am a on a.oid = c.relam
join pg_index i on i.indexrelid = c.oid
left join lateral {pageinspect}.bt_metap(
  case a.amname when 'btree' then c.oid::regclass::text end
) as b on true
left join lateral {pageinspect}.gin_metapage_info({pageinspect}.get_raw_page(
  case a.amname when 'gin' then c.oid::regclass::text end, 'main', 0
)) as g on true
where c.relkind = 'i' and c.relpersistence <> 't' and i.indisvalid
  and a.amname in ('btree', 'gin')
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
