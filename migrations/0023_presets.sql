-- What calls get that they do not say themselves: an organization's settings for routing, and its presets.

create table routing_settings (
    org_id        uuid constraint routing_settings_pkey primary key constraint routing_settings_org references org (id),
    -- Slugs of providers; no allowed ones: all.
    allowed       text[] not null default '{}' constraint routing_settings_allowed check (cardinality(allowed) <= 200),
    enforced      boolean not null default false,
    ignored       text[] not null default '{}' constraint routing_settings_ignored check (cardinality(ignored) <= 200),
    -- Null: as the instance does.
    sort          text constraint routing_settings_sort check (sort in ('balanced', 'price', 'throughput', 'latency')),
    default_model text,
    updated_at    timestamptz not null default now()
);

create table preset (
    org_id            uuid not null constraint preset_org references org (id),
    id                uuid not null,
    -- Never changed, because programs name it, and kept by an archived preset, so that no name changes its meaning.
    slug              text not null,
    name              text not null,
    description       text not null default '',
    status            text not null default 'active' constraint preset_status check (status in ('active', 'archived')),
    status_changed_at timestamptz,
    -- The version that calls get.
    version           integer not null,
    created_by        uuid constraint preset_created_by references person (id),
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now(),
    constraint preset_pkey primary key (org_id, id),
    constraint preset_slug_unique unique (org_id, slug)
);

-- Written once and never changed.
create table preset_version (
    org_id        uuid not null,
    preset_id     uuid not null,
    version       integer not null constraint preset_version_counts check (version > 0),
    id            uuid not null,
    system_prompt text not null default '',
    config        jsonb not null constraint preset_version_config check (jsonb_typeof(config) = 'object'),
    created_by    uuid constraint preset_version_created_by references person (id),
    created_at    timestamptz not null default now(),
    constraint preset_version_pkey primary key (org_id, preset_id, version),
    constraint preset_version_preset foreign key (org_id, preset_id) references preset (org_id, id)
);
alter table preset add constraint preset_has_version foreign key (org_id, id, version)
    references preset_version (org_id, preset_id, version) deferrable initially deferred;

-- Every process forgets what it remembers of the organization.
create function notify_defaults_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('defaults_changed', coalesce(new.org_id, old.org_id)::text);
    return null;
end $$;
create trigger routing_settings_changed after insert or update or delete on routing_settings
    for each row execute function notify_defaults_changed();
create trigger preset_changed after insert or update or delete on preset
    for each row execute function notify_defaults_changed();

select isolate('routing_settings', 'org_id');
select isolate('preset', 'org_id');
select isolate('preset_version', 'org_id');
