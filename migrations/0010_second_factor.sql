-- The second factor of a person, passkeys, and what signing in needs to remember between two requests.

-- The secret of an authenticator app, sealed. It counts once a right code showed that the app has it.
create table totp (
    person_id    uuid primary key references person (id),
    key_id       text not null,
    nonce        bytea not null,
    ciphertext   bytea not null,
    created_at   timestamptz not null default now(),
    confirmed_at timestamptz,
    -- The newest time step whose code was taken. A code of it, or of one before, is never taken again.
    last_step    bigint not null default 0
);

create table recovery_code (
    person_id uuid not null references person (id),
    digest    bytea not null,
    used_at   timestamptz,
    primary key (person_id, digest)
);

create table passkey (
    id            uuid primary key,
    person_id     uuid not null references person (id),
    credential_id bytea not null constraint passkey_credential_unique unique,
    name          text not null constraint passkey_name check (length(name) between 1 and 60),
    -- The public key and its counter, as the WebAuthn library writes them.
    credential    jsonb not null,
    created_at    timestamptz not null default now(),
    last_used_at  timestamptz
);
create index passkey_by_person on passkey (person_id);

-- What a passkey was asked, until it answers once. Without a person where nobody has said who they are.
create table passkey_challenge (
    digest     bytea primary key,
    purpose    text not null
        constraint passkey_challenge_purpose check (purpose in ('add', 'sign_in', 'second', 'step_up')),
    person_id  uuid references person (id),
    state      jsonb not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index passkey_challenge_by_expiry on passkey_challenge (expires_at);

-- Somebody showed the first factor and owes the second. This is no session: it opens no page but the one that asks.
create table half_sign_in (
    digest     bytea primary key,
    person_id  uuid not null references person (id),
    first      text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index half_sign_in_by_person on half_sign_in (person_id);

-- From where a person signed in before: the kind of browser and the network, never the full address.
create table known_device (
    person_id    uuid not null references person (id),
    browser      text not null,
    network      text not null,
    last_used_at timestamptz not null default now(),
    primary key (person_id, browser, network)
);

-- Failed tries of the hour that runs. Only the first of them are listed in the audit log, the others are counted.
create table failed_sign_in (
    person_id uuid primary key references person (id),
    since     timestamptz not null default now(),
    tries     integer not null default 1,
    unlisted  integer not null default 0
);

-- Old failures are found by their time, and kept for a day.
create index sign_in_failure_by_time on sign_in_failure (occurred_at);
