-- Made beside {{ table }} and attached, which lets reads and writes go on; `partition of` would
-- stop both. The bounds are midnight in UTC; a date or timestamp column ignores the zone.
-- LIKE copies no grants, foreign keys, triggers or row-level security: add what you need.
{% for partition in partitions -%}
create table {{ partition.table }} (like {{ table }} including all excluding identity);
alter table {{ table }} attach partition {{ partition.table }}
    for values from ('{{ partition.from }} 00:00:00+00') to ('{{ partition.to }} 00:00:00+00');
{% if not loop.last %}
{% endif -%}
{% endfor -%}
