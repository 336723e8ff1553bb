-- Auto top-up: buying credits with a saved payment method when the balance falls below an amount.

create table auto_topup (
    org_id         uuid primary key references org (id),
    enabled        boolean not null,
    below          numeric(24, 12) not null,
    credits        numeric(24, 12) not null constraint auto_topup_positive check (credits > 0),
    method_id      uuid not null,
    -- What may be charged, fees included, in a day and in a month of UTC.
    cap_day        numeric(24, 12) not null,
    cap_month      numeric(24, 12) not null,
    -- Counts the changes, so that each can start one attempt.
    version        bigint not null default 1,
    -- In a row, since the last success or change.
    declines       integer not null default 0,
    retry_at       timestamptz,
    -- Why the program switched it off; empty when a person did, or while it is on.
    stopped_reason text not null default '',
    set_by         uuid references person (id),
    changed_at     timestamptz not null default now(),
    constraint auto_topup_caps check (cap_month >= cap_day),
    constraint auto_topup_method foreign key (org_id, method_id) references payment_method (org_id, id)
);

-- Every try. One that charged has the number of its purchase; another says why it did not.
create table auto_topup_attempt (
    org_id     uuid not null references org (id),
    id         uuid not null,
    -- What made it try: one cause makes one try.
    cause      text not null,
    credits    numeric(24, 12) not null,
    method_id  uuid not null,
    reason     text not null default '',
    created_at timestamptz not null default now(),
    primary key (org_id, id),
    constraint auto_topup_attempt_once unique (org_id, cause),
    constraint auto_topup_attempt_method foreign key (org_id, method_id) references payment_method (org_id, id)
);

-- For the caps.
create index topup_auto on topup (org_id, created_at) where origin = 'auto';

select isolate('auto_topup', 'org_id');
select isolate('auto_topup_attempt', 'org_id');
