DO $$
BEGIN
  IF current_setting('server_version_num')::int >= 140000 THEN
    CREATE INDEX events_kind_idx ON events (kind);
  END IF;
END
$$;
