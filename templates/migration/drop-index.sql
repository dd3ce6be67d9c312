-- pgtune drops it concurrently. Is it unused everywhere? pg_stat_user_indexes.idx_scan counts
-- per server: look at the standbys, too.
drop index {{ index }};
