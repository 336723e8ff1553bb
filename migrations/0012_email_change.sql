-- A change of e-mail address: asked for, confirmed from the new mailbox, and for a week revertible from the old one.

create table email_change (
    id             uuid primary key,
    person_id      uuid not null references person (id),
    old_email      text not null,
    new_email      text not null,
    new_canonical  text not null,
    confirm_digest bytea not null constraint email_change_confirm_unique unique,
    -- There once the change is confirmed.
    revert_digest  bytea constraint email_change_revert_unique unique,
    created_at     timestamptz not null default now(),
    confirmed_at   timestamptz,
    reverted_at    timestamptz,
    constraint email_change_revert_after_confirm check ((revert_digest is null) = (confirmed_at is null)),
    constraint email_change_order check (reverted_at is null or confirmed_at is not null)
);
create index email_change_by_person on email_change (person_id);
