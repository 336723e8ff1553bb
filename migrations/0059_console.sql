-- Who runs the instance, what they did with a form, what needs two of them, and whom they look at.

alter table operator add column role text not null default 'operator'
    constraint operator_role check (role in ('operator', 'auditor'));

-- A form of the console that was carried out, so that it is carried out once.
create table console_act (
    id         uuid primary key,
    person_id  uuid not null references person (id),
    action     text not null,
    created_at timestamptz not null default now()
);
revoke all on console_act from farebox_tenant;

-- Credits given or taken by hand. From an amount on, a second operator has to agree.
create table adjustment (
    org_id      uuid not null references org (id),
    id          uuid not null,
    kind        text not null constraint adjustment_kind check (kind in ('grant', 'give', 'take')),
    amount      numeric(24, 12) not null constraint adjustment_amount_positive check (amount > 0),
    reason      text not null constraint adjustment_reason check (reason <> ''),
    state       text not null
        constraint adjustment_state check (state in ('pending', 'posted', 'rejected', 'withdrawn', 'expired')),
    needs_two   boolean not null,
    made_by     uuid not null references person (id),
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null,
    decided_by  uuid references person (id),
    decided_at  timestamptz,
    transfer_id uuid,
    constraint adjustment_pkey primary key (org_id, id),
    constraint adjustment_posted check ((state = 'posted') = (transfer_id is not null)),
    constraint adjustment_decided check ((state = 'pending') = (decided_at is null)),
    -- Nobody agrees to their own.
    constraint adjustment_four_eyes check (not needs_two or state <> 'posted' or decided_by <> made_by)
);
create unique index adjustment_by_id on adjustment (id);
create index adjustment_waiting on adjustment (id) where state = 'pending';
create index adjustment_by_maker on adjustment (made_by, created_at);
select isolate('adjustment', 'org_id');

-- An operator's browser that looks at an organization as its owner sees it, and changes nothing.
create table impersonation (
    session_id uuid primary key references session (id) on delete cascade,
    org_id     uuid not null references org (id),
    started_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create unique index impersonation_by_org on impersonation (org_id, session_id);
select isolate('impersonation', 'org_id');

-- Which operator froze an organization: what they froze, nobody else lets go on.
alter table org add column frozen_by uuid references person (id);

-- Lists of the console: organizations and people by name and address.
create index org_newest on org (created_at desc, id desc);
create index person_newest on person (created_at desc, id desc);
