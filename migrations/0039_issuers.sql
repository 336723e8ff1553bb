-- What becomes of a provisioning key becomes of the keys that it issued: nodes forget those too when it is stopped, let go
-- on, deleted, or may do other than before. That is rare, so they forget all keys rather than look for these.

create function notify_issuer_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('org_changed', new.org_id::text);
    return null;
end $$;
create trigger api_key_issuer_changed after update on api_key
    for each row when (
        new.kind = 'provisioning'
        and (old.disabled_at, old.deleted_at, old.expires_at, old.allowed_models)
            is distinct from (new.disabled_at, new.deleted_at, new.expires_at, new.allowed_models)
    ) execute function notify_issuer_changed();
