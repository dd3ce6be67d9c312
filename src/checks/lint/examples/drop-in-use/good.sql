-- What the same migrations make, nobody uses yet.
CREATE TABLE draft (id bigint PRIMARY KEY, note text);
ALTER TABLE draft DROP COLUMN note;
DROP TABLE draft;
