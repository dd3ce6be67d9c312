create index events_t on events (t);
