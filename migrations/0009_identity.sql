-- Accounts elsewhere with which people sign in, sign-ins that are on their way there, and the operators.

create table identity (
    id           uuid primary key,
    person_id    uuid not null references person (id),
    -- Who vouches for it and whom it names there. An e-mail address is never looked at to find it.
    issuer       text not null,
    subject      text not null,
    -- As the provider told it when it was linked, so that its owner tells two apart.
    email        text not null default '',
    linked_at    timestamptz not null default now(),
    last_used_at timestamptz,
    constraint identity_issuer_subject_unique unique (issuer, subject),
    constraint identity_person_issuer_unique unique (person_id, issuer)
);

create table identity_flow (
    -- Of the state that the provider sends back.
    digest     bytea primary key,
    -- Of the mark of the browser that began.
    browser    bytea not null,
    session_id uuid references session (id) on delete cascade,
    provider   text not null,
    purpose    text not null constraint identity_flow_purpose check (purpose in ('sign_in', 'link', 'step_up')),
    next       text not null default '/',
    ip         text not null default '',
    -- The nonce and the code verifier, sealed.
    key_id     text not null,
    nonce      bytea not null,
    ciphertext bytea not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint identity_flow_session check ((purpose = 'sign_in') = (session_id is null))
);
create index identity_flow_by_ip on identity_flow (ip);
create index identity_flow_by_expiry on identity_flow (expires_at);
create index identity_flow_by_session on identity_flow (session_id) where session_id is not null;

-- Whoever runs this instance.
create table operator (
    person_id uuid primary key references person (id),
    made_at   timestamptz not null default now()
);

-- The token with which the first operator is made. There is one at most, and none once there is an operator.
create table operator_claim (
    only_one boolean primary key default true constraint operator_claim_only_one check (only_one),
    digest   bytea not null,
    made_at  timestamptz not null default now()
);
