-- First answers to requests with an Idempotency-Key, so that a repetition gets the same.

create table first_answer (
    org_id     uuid not null,
    key_id     uuid not null,
    -- SHA-256 of what the program called the request.
    name       bytea not null,
    -- SHA-256 of what it asked for.
    asked      bytea not null,
    status     smallint,
    -- Only whoever has the key that asked can open it.
    sealed_by  text,
    nonce      bytea,
    ciphertext bytea,
    created_at timestamptz not null default now(),
    constraint first_answer_pkey primary key (org_id, key_id, name),
    constraint first_answer_key foreign key (org_id, key_id) references api_key (org_id, id)
);
create index first_answer_old on first_answer (org_id, created_at);
select isolate('first_answer', 'org_id');
