-- The most tokens that one image comes to at an endpoint, where that is known.
alter table endpoint add column image_tokens integer check (image_tokens > 0);
