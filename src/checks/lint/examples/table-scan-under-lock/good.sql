-- note_present is valid: an earlier migration added it NOT VALID and validated it.
ALTER TABLE events ALTER COLUMN note SET NOT NULL;
ALTER TABLE events DROP CONSTRAINT note_present;
-- New rows are checked from now on; the next migration validates the old ones.
ALTER TABLE events ADD CONSTRAINT kind_known CHECK (kind <> '') NOT VALID;
