-- no-transaction
-- Hours of everybody in which a model of a provider was called.
create index concurrently if not exists usage_hour_by_model on usage_hour (model, provider, hour);
