TRUNCATE accounts, events;
