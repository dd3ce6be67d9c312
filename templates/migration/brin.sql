-- BRIN keeps one summary per range of pages: tiny, and useful where rows lie on disk in about
-- the order of the column (see correlation in pg_stats). A small range reads fewer pages.
create index {{ index }} on {{ table }} using brin ({{ columns | join(", ") }})
    with (pages_per_range = 32, autosummarize = on);
