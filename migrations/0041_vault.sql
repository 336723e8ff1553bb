-- Data keys: what seals the secrets and the stored texts of one organization. Each is sealed itself by a key-encryption
-- key of the configuration, which `kek_id` names; changing that one seals the data keys anew and nothing else.

create table data_key (
    org_id     uuid not null constraint data_key_org references org (id),
    id         uuid not null,
    kek_id     text not null,
    nonce      bytea not null,
    ciphertext bytea not null,
    created_at timestamptz not null default now(),
    wrapped_at timestamptz not null default now(),
    -- One for each organization: two who need it first make the same one.
    constraint data_key_pkey primary key (org_id)
);

select isolate('data_key', 'org_id');
