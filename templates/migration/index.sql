-- pgtune builds the index concurrently, on partitioned tables partition by partition.
create index {{ index }} on {{ table }} ({{ columns | join(", ") }});
