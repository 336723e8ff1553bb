-- People, their sessions, and the organizations that own everything which costs money.

create table person (
    id                uuid primary key,
    email             text not null,
    email_canonical   text not null constraint person_email_unique unique,
    email_verified_at timestamptz,
    password_hash     text,
    name              text not null,
    time_zone         text not null default 'UTC',
    theme             text not null default 'system' constraint person_theme check (theme in ('system', 'light', 'dark')),
    created_at        timestamptz not null default now()
);

create table session (
    id           uuid primary key,
    digest       bytea not null constraint session_digest_unique unique,
    person_id    uuid not null references person (id),
    user_agent   text not null default '',
    ip           text not null default '',
    created_at   timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    -- When whoever sits there last showed that it is them; dangerous changes ask for a recent one.
    authenticated_at timestamptz not null default now(),
    expires_at   timestamptz not null
);
create index session_by_person on session (person_id);

create table one_time_token (
    digest     bytea primary key,
    purpose    text not null constraint one_time_token_purpose check (purpose in ('verify_email', 'recover')),
    person_id  uuid not null references person (id),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at    timestamptz
);
create index one_time_token_by_person on one_time_token (person_id);

create table org (
    id         uuid primary key,
    name       text not null,
    kind       text not null constraint org_kind check (kind in ('personal', 'team')),
    frozen_at  timestamptz,
    created_at timestamptz not null default now()
);

create table membership (
    org_id     uuid not null references org (id),
    person_id  uuid not null references person (id),
    role       text not null constraint membership_role check (role in ('owner', 'admin', 'billing', 'member')),
    meter_id   uuid not null,
    created_at timestamptz not null default now(),
    primary key (org_id, person_id)
);
create index membership_by_person on membership (person_id);
-- Every person has one personal organization, made with the account.
create table personal_org (
    person_id uuid primary key references person (id),
    org_id    uuid not null references org (id)
);

-- Failed sign-ins, counted for the account and for the address, on every node alike.
create table sign_in_failure (
    subject     text not null,
    occurred_at timestamptz not null default now()
);
create index sign_in_failure_by_subject on sign_in_failure (subject, occurred_at);
