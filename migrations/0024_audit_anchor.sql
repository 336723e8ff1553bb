-- What makes an audit log that was rewritten or cut off detectable later. A chain alone shows what was changed inside of
-- it, but whoever may write to every table could compute a whole new one. So each day the ends of all chains that moved
-- are written down, chained to the day before, and signed with a key that the database does not have.

create table audit_anchor (
    number    bigint primary key,
    taken_at  timestamptz not null,
    -- Over the anchor before, this number and moment, and every head below, in order.
    digest    bytea not null,
    signature bytea not null
);

create table audit_anchor_head (
    anchor   bigint not null references audit_anchor (number),
    chain_id uuid not null,
    seq      bigint not null,
    digest   bytea not null,
    primary key (chain_id, seq)
);
create index audit_anchor_head_by_anchor on audit_anchor_head (anchor, chain_id);

create trigger audit_anchor_append_only before update or delete on audit_anchor
    for each row execute function refuse_change();
create trigger audit_anchor_no_truncate before truncate on audit_anchor
    for each statement execute function refuse_change();
create trigger audit_anchor_head_append_only before update or delete on audit_anchor_head
    for each row execute function refuse_change();
create trigger audit_anchor_head_no_truncate before truncate on audit_anchor_head
    for each statement execute function refuse_change();

-- The house's alone.
revoke all on audit_anchor, audit_anchor_head from farebox_tenant;
