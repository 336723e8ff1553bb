-- Accounts that are about to be erased. For a week the request can be taken back.

create table account_deletion (
    person_id uuid primary key references person (id),
    asked_at  timestamptz not null default now(),
    due_at    timestamptz not null,
    erased_at timestamptz,
    constraint account_deletion_order check (due_at > asked_at and (erased_at is null or erased_at >= due_at))
);
