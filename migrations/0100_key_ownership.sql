-- Who answers for a key, and who holds it.

-- Somebody else holds it than whoever made it: it was given away by a link, or an app got it by consent. What a program
-- issued is known by its issuer.
alter table api_key add column handed_on boolean not null default false;
update api_key k set handed_on = true
where exists (select from key_claim c where c.org_id = k.org_id and c.key_id = k.id)
    or exists (select from auth_code a where a.org_id = k.org_id and a.key_id = k.id);

-- Whether the keys that people made for themselves may ask for the organization's balance.
alter table privacy_settings add column keys_see_balance boolean not null default true;

-- Everything that a provisioning key hands on, and who made it: nodes forget what it issued when one of these changes.
create or replace trigger api_key_issuer_changed after update on api_key
    for each row when (
        new.kind = 'provisioning'
        and (old.disabled_at, old.deleted_at, old.expires_at, old.allowed_models, old.allowed_ips, old.requests_per_minute,
                old.preset, old.created_by)
            is distinct from (new.disabled_at, new.deleted_at, new.expires_at, new.allowed_models, new.allowed_ips,
                new.requests_per_minute, new.preset, new.created_by)
    ) execute function notify_issuer_changed();

-- A key manages others only while its maker may, so nodes forget keys when a role changes. That is rare, too.
create trigger membership_role_changed after update on membership
    for each row when (old.role is distinct from new.role) execute function notify_issuer_changed();
