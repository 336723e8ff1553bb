-- Purchases of credits, and the inbox of what payment processors told us.

create table topup (
    org_id        uuid not null references org (id),
    id            uuid not null,
    method        text not null,
    processor     text not null,
    credits       numeric(24, 12) not null constraint topup_credits_positive check (credits > 0),
    fee           numeric(24, 12) not null constraint topup_fee_not_negative check (fee >= 0),
    total         numeric(24, 12) not null,
    state         text not null
        constraint topup_state check (state in ('pending', 'paid', 'failed', 'expired', 'refunded', 'disputed')),
    failure       text not null default '',
    processor_ref text,
    checkout_url  text,
    created_by    uuid references person (id),
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    paid_at       timestamptz,
    primary key (org_id, id),
    constraint topup_total check (total = credits + fee)
);
create unique index topup_by_id on topup (id);
create index topup_by_org on topup (org_id, id desc);
create unique index topup_by_processor_ref on topup (processor, processor_ref);

-- Stored before anything else happens, so that no message is lost; (processor, id) makes a redelivery harmless.
create table processor_event (
    processor   text not null,
    id          text not null,
    kind        text not null,
    object_ref  text not null,
    payload     jsonb not null,
    received_at timestamptz not null default now(),
    applied_at  timestamptz,
    outcome     text not null default '',
    primary key (processor, id)
);

-- The sandbox processor's own side of a payment. It stands for a company's database elsewhere:
-- Farebox's books only learn of it through events and by asking.
create table sandbox_payment (
    ref        text primary key,
    topup_id   uuid not null constraint sandbox_payment_once unique,
    total      numeric(24, 12) not null,
    state      text not null constraint sandbox_payment_state check (state in ('open', 'processing', 'paid', 'declined')),
    created_at timestamptz not null default now()
);
