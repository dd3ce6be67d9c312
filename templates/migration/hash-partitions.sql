-- All {{ partitions | length }} partitions that {{ table }} needs; rows for a missing one are refused.
{% for partition in partitions -%}
create table {{ partition.table }} partition of {{ table }}
    for values with (modulus {{ partition.modulus }}, remainder {{ partition.remainder }});
{% endfor -%}
