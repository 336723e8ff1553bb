-- What an organization lets become of what it sends, and the texts of calls where it has them stored.

create table privacy_settings (
    org_id            uuid constraint privacy_settings_pkey primary key constraint privacy_settings_org references org (id),
    -- Whether providers may answer that may train on what they are sent: for models that cost something, for free ones.
    paid_training     boolean not null default true,
    free_training     boolean not null default true,
    -- Only providers that keep nothing.
    zero_retention    boolean not null default false,
    -- Storing the texts of calls, and for how long.
    log_texts         boolean not null default false,
    keep_days         integer not null default 30 constraint privacy_settings_keep_days check (keep_days between 1 and 365),
    analytics_cookies boolean not null default false,
    updated_at        timestamptz not null default now()
);
create trigger privacy_settings_changed after insert or update or delete on privacy_settings
    for each row execute function notify_defaults_changed();
select isolate('privacy_settings', 'org_id');

-- What was sent and what came back, compressed, then sealed with the organization's data key.
create table call_text (
    org_id         uuid not null,
    call_id        uuid not null,
    data_key       uuid not null,
    nonce          bytea not null,
    ciphertext     bytea not null,
    -- In bytes, before anything was cut or compressed.
    request_bytes  bigint not null,
    response_bytes bigint not null,
    created_at     timestamptz not null default now(),
    expires_at     timestamptz not null,
    constraint call_text_pkey primary key (org_id, call_id)
);
create index call_text_by_expiry on call_text (expires_at);
select isolate('call_text', 'org_id');
