-- For jsonb the class jsonb_path_ops is smaller and faster, but serves only @>, @? and @@.
-- Write it behind the column where that is enough: (metadata jsonb_path_ops)
create index {{ index }} on {{ table }} using gin ({{ columns | join(", ") }});
