-- The index change: three indexes that every insert pays for and no query needs.

-- A prefix of (app_id, event_type, created_at), which answers the same questions.
drop index events_app_id_idx;

-- A few types make up most events, so this index is rarely worth using.
drop index events_event_type_idx;

-- Events are appended in the order of time: a BRIN index finds a period with some kilobytes. A
-- range of 32 pages is what a query for a period reads too much at most at either end.
-- The new one first, so that there is no time without either.
create index events_created_at_brin on events
    using brin (created_at) with (pages_per_range = 32, autosummarize = on);
drop index events_created_at_idx;
