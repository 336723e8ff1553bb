-- Double-entry books, holds and meters. Rules: ARCHITECTURE.md, "The ledger".

create table ledger_account (
    id         uuid primary key,
    kind       text not null
        constraint ledger_account_kind check (kind in ('credit', 'processor', 'promotions', 'usage_revenue',
            'fee_revenue', 'byok_fee_revenue', 'operator_loss')),
    name       text not null constraint ledger_account_name_unique unique,
    org_id     uuid constraint ledger_account_one_per_org unique,
    created_at timestamptz not null default now(),
    constraint ledger_account_credit_has_org check ((kind = 'credit') = (org_id is not null))
);

insert into ledger_account (id, kind, name) values
    ('00000000-0000-7000-8000-000000000001', 'promotions', 'promotions'),
    ('00000000-0000-7000-8000-000000000002', 'usage_revenue', 'usage_revenue'),
    ('00000000-0000-7000-8000-000000000003', 'fee_revenue', 'fee_revenue'),
    ('00000000-0000-7000-8000-000000000004', 'byok_fee_revenue', 'byok_fee_revenue'),
    ('00000000-0000-7000-8000-000000000005', 'operator_loss', 'operator_loss'),
    ('00000000-0000-7000-8000-000000000010', 'processor', 'processor:sandbox');

-- One row moves one positive amount out of `debit_account` into `credit_account`: both sides at once,
-- so the books cannot be unbalanced.
-- The account columns carry no foreign key: its row locks on the few house accounts would
-- serialize every settlement of every process. The auditor looks for orphans instead.
create table transfer (
    id             uuid primary key,
    code           text not null
        constraint transfer_code check (code in ('topup', 'topup_fee', 'grant', 'redeem', 'usage', 'refund',
            'dispute', 'dispute_won', 'move', 'overrun', 'correction')),
    reference      text not null,
    debit_account  uuid not null,
    credit_account uuid not null,
    amount         numeric(24, 12) not null constraint transfer_amount_positive check (amount > 0),
    org_id         uuid,
    memo           text not null default '',
    created_at     timestamptz not null default now(),
    constraint transfer_two_accounts check (debit_account <> credit_account),
    constraint transfer_once unique (code, reference)
);
create index transfer_by_org on transfer (org_id, id desc);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: mend a mistake with an opposite row', tg_table_name
        using errcode = 'integrity_constraint_violation';
end $$;

create trigger transfer_append_only before update or delete on transfer
    for each row execute function refuse_change();
create trigger transfer_no_truncate before truncate on transfer
    for each statement execute function refuse_change();

-- What an organization owns (`posted`, the running sum of its transfers) and what running calls hold of it.
create table credit (
    org_id uuid primary key,
    posted numeric(24, 12) not null default 0,
    held   numeric(24, 12) not null default 0 constraint credit_held_not_negative check (held >= 0)
) with (fillfactor = 50);

-- What a key or a member spent, with up to four hard limits at once. A window that the clock has
-- passed counts as zero; its column is rolled by the next settlement.
create table meter (
    org_id       uuid not null,
    id           uuid not null,
    kind         text not null constraint meter_kind check (kind in ('key', 'provisioning', 'member')),
    limit_total  numeric(24, 12) constraint meter_limit_total check (limit_total >= 0),
    limit_day    numeric(24, 12) constraint meter_limit_day check (limit_day >= 0),
    limit_week   numeric(24, 12) constraint meter_limit_week check (limit_week >= 0),
    limit_month  numeric(24, 12) constraint meter_limit_month check (limit_month >= 0),
    include_byok boolean not null default false,
    held         numeric(24, 12) not null default 0 constraint meter_held_not_negative check (held >= 0),
    spent_total  numeric(24, 12) not null default 0,
    spent_day    numeric(24, 12) not null default 0,
    spent_week   numeric(24, 12) not null default 0,
    spent_month  numeric(24, 12) not null default 0,
    byok_total   numeric(24, 12) not null default 0,
    byok_day     numeric(24, 12) not null default 0,
    byok_week    numeric(24, 12) not null default 0,
    byok_month   numeric(24, 12) not null default 0,
    day          date not null default (now() at time zone 'utc')::date,
    week         date not null default date_trunc('week', now() at time zone 'utc')::date,
    month        date not null default date_trunc('month', now() at time zone 'utc')::date,
    last_used_at timestamptz,
    primary key (org_id, id)
) with (fillfactor = 50);

-- An open hold. It ends exactly once: whoever deletes the row settles or releases it.
create table hold (
    org_id     uuid not null,
    id         uuid not null,
    amount     numeric(24, 12) not null constraint hold_amount_not_negative check (amount >= 0),
    meters     uuid[] not null,
    -- What the sweeper should know of the call; opaque here, so text and not parsed for every call.
    memo       text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    primary key (org_id, id)
);
-- No index on expires_at: the table holds running calls only, and every call would pay for it.
