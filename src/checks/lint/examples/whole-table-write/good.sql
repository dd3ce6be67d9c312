UPDATE settings SET value = lower(value);
UPDATE events SET kind = lower(kind) WHERE id BETWEEN 1 AND 10000;
