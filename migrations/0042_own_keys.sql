-- Keys that an organization brings itself, for providers where it has an account of its own.

create table provider_key (
    org_id      uuid not null constraint provider_key_org references org (id),
    id          uuid not null,
    -- The provider's slug. It stays if the catalog loses the provider.
    provider    text not null,
    name        text not null,
    -- The key with its middle left out; never the key.
    label       text not null,
    -- Scheme, host and port that the key may be sent to: those of the provider when the key was stored.
    origin      text not null,
    mode        text not null
        constraint provider_key_mode check (mode in ('first', 'fallback', 'only')),
    -- Null: all. The ids of models, of keys and of members.
    models      text[] constraint provider_key_models check (cardinality(models) between 1 and 200),
    keys        uuid[] constraint provider_key_keys check (cardinality(keys) between 1 and 200),
    members     uuid[] constraint provider_key_members check (cardinality(members) between 1 and 200),
    data_key    uuid not null,
    nonce       bytea not null,
    ciphertext  bytea not null,
    -- The last test: null where there was none, empty where it went well.
    tested_at   timestamptz,
    test_result text,
    created_by  uuid constraint provider_key_created_by references person (id),
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    constraint provider_key_pkey primary key (org_id, id),
    constraint provider_key_one unique (org_id, provider)
);

create trigger provider_key_changed after insert or update or delete on provider_key
    for each row execute function notify_defaults_changed();

select isolate('provider_key', 'org_id');
