-- The rows stay as they are: varchar and text are stored alike.
ALTER TABLE events ALTER COLUMN kind TYPE text;
-- A constant default is kept beside the table, and no row is touched.
ALTER TABLE events ADD COLUMN seen boolean NOT NULL DEFAULT false;
-- Small tables are written anew in no time.
ALTER TABLE settings ALTER COLUMN position TYPE bigint;
