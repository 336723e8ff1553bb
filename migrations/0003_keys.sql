-- Inference and provisioning keys. Only the SHA-256 of a key is stored.

create table api_key (
    org_id      uuid not null references org (id),
    id          uuid not null,
    digest      bytea not null constraint api_key_digest_unique unique,
    kind        text not null constraint api_key_kind check (kind in ('inference', 'provisioning')),
    name        text not null,
    label       text not null,
    created_by  uuid references person (id),
    issued_by   uuid,
    disabled_at timestamptz,
    deleted_at  timestamptz,
    expires_at  timestamptz,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    primary key (org_id, id)
);

-- Every node drops its cached copy of a key within a second of any change.
create function notify_key_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('key_changed', encode(coalesce(new.digest, old.digest), 'hex'));
    return null;
end $$;
create trigger api_key_changed after insert or update or delete on api_key
    for each row execute function notify_key_changed();

create function notify_org_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('org_changed', new.id::text);
    return null;
end $$;
create trigger org_changed after update on org
    for each row execute function notify_org_changed();
