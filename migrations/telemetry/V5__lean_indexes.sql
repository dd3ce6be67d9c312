-- The index change: two indexes instead of seven, on the old table and on the partitioned one.
-- Searching by a value is the work of entity_jsonb since V4; what remains is "this attribute of
-- this tenant over a period" and "everything of a period".

drop index entity_values_entity_id_attribute_id_idx;
drop index entity_values_tenant_id_attribute_id_idx;
drop index entity_values_attribute_id_ingested_at_idx;
drop index entity_values_ingested_at_idx;
drop index entity_values_attribute_id_value_int_idx;
drop index entity_values_attribute_id_value_num_idx;
drop index entity_values_attribute_id_value_text_idx;

create index entity_values_tenant_id_attribute_id_ingested_at_idx
    on entity_values (tenant_id, attribute_id, ingested_at);
create index entity_values_ts_tenant_id_attribute_id_ingested_at_idx
    on entity_values_ts (tenant_id, attribute_id, ingested_at);

-- Rows arrive in the order of ingested_at, so one entry per 128 pages says enough, and an insert
-- hardly ever touches it. autosummarize, because in a table without updates vacuum comes rarely.
create index entity_values_ingested_at_brin
    on entity_values using brin (ingested_at) with (autosummarize = on);
create index entity_values_ts_ingested_at_brin
    on entity_values_ts using brin (ingested_at) with (autosummarize = on);
