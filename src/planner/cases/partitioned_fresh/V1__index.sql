-- one plain line is enough
create index events_created_at on events using brin (created_at);
