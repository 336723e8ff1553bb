-- The secrets that a key had before, by their digests: the first, and the newest ones. None of them works, but the program that
-- issued the key knows it by the one that it was made with, and has to find it by that to change and delete it.

alter table api_key add column former_digests bytea[] not null default '{}'
    constraint api_key_former_digests check (cardinality(former_digests) <= 100);
update api_key set former_digests = array[previous_digest] where previous_digest is not null;

-- Few keys are ever rotated, so this stays small.
create index api_key_rotated on api_key (org_id, id) where former_digests <> '{}';
