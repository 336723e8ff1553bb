-- Who did what to what. Each organization, each person and the house has a chain of its own; every entry carries
-- the digest of the one before, so that nothing can be changed, taken out or put in between unnoticed.

create table audit_chain (
    chain_id uuid primary key,
    kind     text not null constraint audit_chain_kind check (kind in ('organization', 'person', 'house')),
    seq      bigint not null default 0,
    digest   bytea not null default ''
);

create table audit_entry (
    chain_id        uuid not null,
    seq             bigint not null,
    occurred_at     timestamptz not null,
    actor_kind      text not null
        constraint audit_entry_actor_kind check (actor_kind in ('person', 'key', 'operator', 'system', 'nobody')),
    actor_id        uuid,
    action          text not null,
    target_kind     text not null default '',
    target_id       text not null default '',
    -- JSON, kept as the text that was digested. Neither names nor addresses of people stand in them.
    before          text not null default '',
    after           text not null default '',
    -- Names, addresses and devices, so that the log can be read. It may be erased: the chain holds its digest,
    -- which a random salt in it keeps from being guessed back.
    personal        text,
    personal_digest bytea not null,
    digest          bytea not null,
    primary key (chain_id, seq)
);
create index audit_entry_by_actor on audit_entry (actor_id) where actor_id is not null;

create function refuse_audit_change() returns trigger language plpgsql as $$
begin
    -- The one change there may be: personal data is erased when its person is.
    if tg_op = 'UPDATE' and new.personal is null
        and (new.chain_id, new.seq, new.occurred_at, new.actor_kind, new.actor_id, new.action, new.target_kind,
             new.target_id, new.before, new.after, new.personal_digest, new.digest)
            is not distinct from
            (old.chain_id, old.seq, old.occurred_at, old.actor_kind, old.actor_id, old.action, old.target_kind,
             old.target_id, old.before, old.after, old.personal_digest, old.digest) then
        return new;
    end if;
    raise exception 'audit_entry is append-only' using errcode = 'integrity_constraint_violation';
end $$;

create trigger audit_entry_append_only before update or delete on audit_entry
    for each row execute function refuse_audit_change();
create trigger audit_entry_no_truncate before truncate on audit_entry
    for each statement execute function refuse_change();
