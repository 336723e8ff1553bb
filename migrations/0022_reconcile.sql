-- Comparing our books with those of each payment processor.

create table reconciliation (
    id               uuid primary key,
    processor        text not null,
    -- Payments made since then were compared.
    since            timestamptz not null,
    state            text not null
        constraint reconciliation_state check (state in ('running', 'complete', 'incomplete')),
    started_at       timestamptz not null default now(),
    -- Whoever runs it renews this; after it, the process is taken for dead and another may begin.
    lease_until      timestamptz not null,
    ended_at         timestamptz,
    -- Why it is incomplete.
    failure          text not null default '',
    payments         integer not null default 0,
    foreign_payments integer not null default 0,
    -- Of the foreign ones, those that carry an id of our kind.
    missing          integer not null default 0,
    compared         integer not null default 0,
    -- What the processor says that it holds of the compared purchases, and what the books say.
    told             numeric(24, 12) not null default 0,
    booked           numeric(24, 12) not null default 0
);
create unique index reconciliation_one_at_a_time on reconciliation (processor) where state = 'running';
create index reconciliation_latest on reconciliation (processor, started_at desc);

create table reconciliation_finding (
    run_id       uuid not null references reconciliation (id) on delete cascade,
    number       integer not null,
    kind         text not null
        constraint reconciliation_finding_kind check (kind in ('credited', 'booked', 'refused', 'no_payment',
            'not_paid', 'differs')),
    needs_person boolean not null,
    topup_id     uuid,
    -- What the processor calls the payment.
    reference    text not null,
    detail       text not null,
    primary key (run_id, number)
);

create index topup_by_paid_at on topup (processor, paid_at);
