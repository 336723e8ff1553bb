-- When a recovery code was made: those that somebody makes while they hold another's account are forgotten when its owner takes it
-- back. Unknown for those of before.
alter table recovery_code add column made_at timestamptz;
alter table recovery_code alter column made_at set default now();
