-- An earlier migration added it NOT VALID.
ALTER TABLE events VALIDATE CONSTRAINT created_at_sane;
