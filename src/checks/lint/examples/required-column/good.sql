ALTER TABLE settings ADD COLUMN owner text NOT NULL DEFAULT 'nobody';
