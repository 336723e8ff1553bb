-- Organizations with several people: which one a browser looks at, invitations, and an end.

-- Empty while the person looks at their own organization.
alter table session
    add column current_org_id uuid constraint session_current_org references org (id);

-- Asked for, then seven days in which any owner can undo it, then done. Keys are refused from the first moment.
alter table org
    add column deletion_asked_at timestamptz,
    add column delete_after timestamptz,
    add column deleted_at timestamptz,
    add constraint org_deletion check ((deletion_asked_at is null) = (delete_after is null)),
    add constraint org_personal_stays check (kind = 'team' or deletion_asked_at is null);

create table invitation (
    org_id          uuid not null constraint invitation_org references org (id),
    id              uuid not null,
    -- Of the token in the newest mail; the ones before it no longer work.
    digest          bytea not null constraint invitation_digest_unique unique,
    email           text not null,
    email_canonical text not null,
    role            text not null constraint invitation_role check (role in ('admin', 'billing', 'member')),
    invited_by      uuid constraint invitation_invited_by references person (id),
    sends           integer not null default 1 constraint invitation_sends check (sends between 1 and 6),
    sent_at         timestamptz not null default now(),
    created_at      timestamptz not null default now(),
    expires_at      timestamptz not null,
    ended_at        timestamptz,
    ended_as        text constraint invitation_ended_as check (ended_as in ('accepted', 'declined', 'revoked', 'expired')),
    constraint invitation_end check ((ended_at is null) = (ended_as is null)),
    constraint invitation_pkey primary key (org_id, id)
);
create unique index invitation_open_once on invitation (org_id, email_canonical) where ended_at is null;
create index invitation_by_email on invitation (email_canonical) where ended_at is null;

-- Who was a member, with the meter that counted them: whoever comes back goes on where they stopped.
create table former_member (
    org_id    uuid not null constraint former_member_org references org (id),
    person_id uuid not null constraint former_member_person references person (id),
    meter_id  uuid not null,
    left_at   timestamptz not null default now(),
    constraint former_member_pkey primary key (org_id, person_id)
);

-- The history of credits that moved between two organizations, seen from each.
create index transfer_moved_out on transfer (debit_account, id desc) where code = 'move';
create index transfer_moved_in on transfer (credit_account, id desc) where code = 'move';
