UPDATE settings AS later SET position = NULL
WHERE EXISTS (
  SELECT FROM settings AS earlier
  WHERE earlier.position = later.position AND earlier.name < later.name
);
CREATE UNIQUE INDEX settings_position_idx ON settings (position);
