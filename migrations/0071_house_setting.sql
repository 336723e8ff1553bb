-- Rules of the house that operators change while everything runs: what purchases cost, and who may sign up. Each change is a
-- version; the last one of a name holds from its commit on. Without a value, what the environment says holds again.

create table house_setting (
    name    text not null constraint house_setting_name check (name in ('fees', 'sign_up')),
    version bigint not null constraint house_setting_version check (version > 0),
    value   jsonb,
    reason  text not null,
    -- No reference, so that a version outlives whoever made it.
    made_by uuid not null,
    made_at timestamptz not null default now(),
    primary key (name, version)
);

create trigger append_only before update or delete on house_setting for each row execute function refuse_change();
create trigger no_truncate before truncate on house_setting for each statement execute function refuse_change();
revoke all on house_setting from farebox_tenant;

-- Every node forgets what it knew.
create function notify_house_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('house_changed', new.name);
    return null;
end $$;

create trigger house_changed after insert on house_setting for each row execute function notify_house_changed();
