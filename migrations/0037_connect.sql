-- Codes with which apps get a key, after a person consented or because a program with a provisioning key asked.

create table auth_code (
    org_id         uuid not null constraint auth_code_org references org (id),
    id             uuid not null,
    digest         bytea not null constraint auth_code_digest_unique unique,
    -- Whose key it will be.
    person_id      uuid constraint auth_code_person references person (id),
    -- The provisioning key that asked.
    issued_by      uuid,
    -- Empty where the code is shown, to be typed into the app.
    callback_url   text not null,
    challenge      text not null,
    method         text not null constraint auth_code_method check (method in ('S256', 'plain', 'none')),
    -- What the key will be.
    name           text not null,
    limit_total    numeric(24, 12) constraint auth_code_limit_total check (limit_total >= 0),
    limit_day      numeric(24, 12) constraint auth_code_limit_day check (limit_day >= 0),
    limit_week     numeric(24, 12) constraint auth_code_limit_week check (limit_week >= 0),
    limit_month    numeric(24, 12) constraint auth_code_limit_month check (limit_month >= 0),
    key_expires_at timestamptz,
    created_at     timestamptz not null default now(),
    expires_at     timestamptz not null,
    -- The first try uses it up, whatever comes of it.
    used_at        timestamptz,
    key_id         uuid,
    constraint auth_code_pkey primary key (org_id, id),
    constraint auth_code_challenge check ((challenge = '') = (method = 'none')),
    constraint auth_code_asked check (person_id is not null or issued_by is not null)
);
create index auth_code_old on auth_code (org_id, expires_at);
select isolate('auth_code', 'org_id');
