CREATE UNIQUE INDEX settings_position_idx ON settings (position);
