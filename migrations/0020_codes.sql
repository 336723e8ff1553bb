-- Redemption codes: credits that the house gives to whoever holds a code.

create table code_batch (
    id             uuid primary key,
    amount         numeric(24, 12) not null constraint code_batch_amount_positive check (amount > 0),
    codes          integer not null constraint code_batch_codes check (codes > 0),
    uses_per_code  integer not null constraint code_batch_uses check (uses_per_code > 0),
    -- Of all codes of the batch together.
    uses_per_org   integer not null constraint code_batch_per_org check (uses_per_org > 0),
    expires_at     timestamptz,
    note           text not null default '',
    created_at     timestamptz not null default now(),
    revoked_at     timestamptz
);

-- A code is kept as a keyed digest: who reads this table can redeem none of them.
create table redemption_code (
    digest   bytea primary key,
    batch_id uuid not null references code_batch (id),
    uses     integer not null default 0 constraint redemption_code_uses check (uses >= 0)
);
create index redemption_code_by_batch on redemption_code (batch_id);

-- One use of one code. Its id comes from the form and is the reference of its transfer, so that a form that is sent
-- twice redeems once.
create table redemption (
    org_id      uuid not null references org (id),
    id          uuid not null,
    batch_id    uuid not null references code_batch (id),
    digest      bytea not null references redemption_code (digest),
    amount      numeric(24, 12) not null,
    redeemed_by uuid references person (id),
    created_at  timestamptz not null default now(),
    primary key (org_id, id)
);
create unique index redemption_by_id on redemption (id);
create index redemption_by_batch on redemption (org_id, batch_id);
create index redemption_by_digest on redemption (digest);

-- Codes that were tried and not there, counted for the person, the organization and the network address, on every
-- node alike.
create table code_failure (
    subject     text not null,
    occurred_at timestamptz not null default now()
);
create index code_failure_by_subject on code_failure (subject, occurred_at);
create index code_failure_by_time on code_failure (occurred_at);

select isolate('redemption', 'org_id');
