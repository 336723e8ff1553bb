-- Money comes from several processors, may be asked for again, and may go back.

insert into ledger_account (id, kind, name) values
    ('00000000-0000-7000-8000-000000000011', 'processor', 'processor:stripe'),
    ('00000000-0000-7000-8000-000000000012', 'processor', 'processor:btcpay'),
    ('00000000-0000-7000-8000-000000000013', 'processor', 'processor:coinbase');

alter table transfer drop constraint transfer_code;
alter table transfer add constraint transfer_code check (code in ('topup', 'topup_fee', 'grant', 'redeem', 'usage',
    'refund', 'refund_failed', 'dispute', 'dispute_won', 'move', 'overrun', 'correction'));

alter table topup
    -- The payment itself, where it has another name than the checkout that led to it.
    add column payment_ref    text,
    add column origin         text not null default 'person' constraint topup_origin check (origin in ('person', 'auto')),
    -- What went back in all, of credits and fee together.
    add column refunded       numeric(24, 12) not null default 0,
    add column disputed       numeric(24, 12) not null default 0,
    -- When the payer's bank reported it as fraud.
    add column fraud_warned_at timestamptz,
    add column receipt_number bigint constraint topup_receipt_once unique,
    -- When the processor is asked next, should its message not come.
    add column ask_at         timestamptz,
    add column asked          integer not null default 0,
    add constraint topup_taken_back check (refunded >= 0 and disputed >= 0);
create unique index topup_by_payment_ref on topup (processor, payment_ref);
create index topup_to_ask on topup (ask_at) where ask_at is not null;
-- One open attempt an organization, however many processes try.
create unique index topup_one_open_auto on topup (org_id) where origin = 'auto' and state = 'pending';

-- Receipts are numbered without gaps: the number is taken in the transaction that credits.
create table receipt_counter (
    only_row boolean primary key default true constraint receipt_counter_single check (only_row),
    last     bigint not null default 0
);
insert into receipt_counter default values;

-- Money that goes back. Credits are taken when the row is made, so that nobody spends what is on its way back.
create table refund (
    org_id        uuid not null references org (id),
    id            uuid not null,
    topup_id      uuid not null,
    processor     text not null,
    processor_ref text,
    amount        numeric(24, 12) not null constraint refund_positive check (amount > 0),
    credits       numeric(24, 12) not null,
    fee           numeric(24, 12) not null,
    state         text not null constraint refund_state check (state in ('pending', 'succeeded', 'failed')),
    -- Who wanted it: the payer, an operator, or somebody at the processor.
    origin        text not null constraint refund_origin check (origin in ('owner', 'operator', 'processor')),
    failure       text not null default '',
    created_by    uuid references person (id),
    created_at    timestamptz not null default now(),
    settled_at    timestamptz,
    ask_at        timestamptz,
    asked         integer not null default 0,
    primary key (org_id, id),
    constraint refund_parts check (amount = credits + fee and credits >= 0 and fee >= 0),
    constraint refund_of_topup foreign key (org_id, topup_id) references topup (org_id, id)
);
create unique index refund_by_processor_ref on refund (processor, processor_ref);
create index refund_by_topup on refund (org_id, topup_id);
create index refund_to_ask on refund (ask_at) where ask_at is not null;

create table dispute (
    org_id        uuid not null references org (id),
    id            uuid not null,
    topup_id      uuid not null,
    processor     text not null,
    processor_ref text not null,
    amount        numeric(24, 12) not null constraint dispute_positive check (amount > 0),
    credits       numeric(24, 12) not null,
    fee           numeric(24, 12) not null,
    -- An inquiry has taken no money yet.
    state         text not null constraint dispute_state check (state in ('inquiry', 'open', 'won', 'lost')),
    reason        text not null default '',
    created_at    timestamptz not null default now(),
    closed_at     timestamptz,
    primary key (org_id, id),
    constraint dispute_of_topup foreign key (org_id, topup_id) references topup (org_id, id)
);
create unique index dispute_by_processor_ref on dispute (processor, processor_ref);
create index dispute_by_topup on dispute (org_id, topup_id);

-- Under which name a processor knows an organization.
create table processor_customer (
    org_id     uuid not null references org (id),
    processor  text not null,
    reference  text not null,
    created_at timestamptz not null default now(),
    primary key (org_id, processor),
    constraint processor_customer_once unique (processor, reference)
);

-- A way to pay that may be charged again. The processor keeps it; here is only what a person recognizes it by.
create table payment_method (
    org_id        uuid not null references org (id),
    id            uuid not null,
    processor     text not null,
    processor_ref text not null,
    -- The method of the fee schedule, such as card.
    method        text not null,
    label         text not null,
    expires       text not null default '',
    is_default    boolean not null default false,
    created_at    timestamptz not null default now(),
    removed_at    timestamptz,
    primary key (org_id, id)
);
create unique index payment_method_by_ref on payment_method (org_id, processor, processor_ref);
create unique index payment_method_default on payment_method (org_id) where is_default and removed_at is null;

select isolate('refund', 'org_id');
select isolate('dispute', 'org_id');
select isolate('processor_customer', 'org_id');
select isolate('payment_method', 'org_id');
