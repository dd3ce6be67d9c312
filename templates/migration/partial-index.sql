-- Queries use this index only where their own condition implies the one below.
-- pgtune builds it concurrently, on partitioned tables partition by partition.
create index {{ index }} on {{ table }} ({{ columns | join(", ") }})
    where {{ predicate }};
