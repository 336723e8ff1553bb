-- A second operator who is one: who made somebody an operator, from when on they confirm what others ask for, and what waits
-- for them besides grants and corrections: large batches of codes, and new operators.

alter table operator
    -- The only operator there was, who made them one alone. The two count as one. Nobody where two wanted it, or the server.
    add column made_by uuid references person (id),
    -- From here on they confirm what others ask for. Those who are there do so now.
    add column confirms_from timestamptz not null default now();
alter table operator alter column confirms_from set default now() + interval '7 days';

alter table code_batch
    -- Who made it in the console, and who confirmed it where it needed a second.
    add column made_by uuid references person (id),
    add column confirmed_by uuid references person (id),
    add constraint code_batch_four_eyes check (confirmed_by is null or (made_by is not null and confirmed_by <> made_by));
create index code_batch_by_maker on code_batch (made_by, created_at);

-- What an operator wants and a second one has to agree to. Until then nothing of it is there: no code, no operator.
create table confirmation (
    id         uuid primary key,
    kind       text not null constraint confirmation_kind check (kind in ('codes', 'operator')),
    wish       jsonb not null,
    reason     text not null constraint confirmation_reason check (reason <> ''),
    state      text not null default 'pending'
        constraint confirmation_state check (state in ('pending', 'confirmed', 'rejected', 'withdrawn')),
    made_by    uuid not null references person (id),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    decided_by uuid references person (id),
    decided_at timestamptz,
    constraint confirmation_decided check ((state = 'pending') = (decided_at is null)),
    constraint confirmation_four_eyes check (state <> 'confirmed' or (decided_by is not null and decided_by <> made_by))
);
create index confirmation_waiting on confirmation (id) where state = 'pending';
revoke all on confirmation from farebox_tenant;
