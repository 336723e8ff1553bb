-- no-transaction
-- Hours of everybody, found by their time.
create index concurrently if not exists usage_hour_by_hour on usage_hour (hour);
