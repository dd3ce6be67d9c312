CREATE INDEX events_of_one_kind_in_the_order_of_their_creation_for_the_monthly_report
  ON events (kind, created_at);
