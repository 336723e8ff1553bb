-- What an audit of everything found to be right, up to a moment: the next audits add what came since, instead of all that
-- ever was. Rules: ARCHITECTURE.md, "The ledger"; who writes it: gateway/reconcile.

-- Sums of all rows whose id is of before `audit_mark.until`, by what they are added up for.
create table audited (
    org_id uuid not null,
    kind   text not null constraint audited_kind check (kind in ('posted', 'meter', 'month')),
    -- A meter; else the organization itself.
    id     uuid not null,
    -- Transfers of a credit account; what calls cost on a meter; zero of a month.
    amount numeric(24, 12) not null,
    -- What providers took for them, on a meter or in all months together.
    own    numeric(24, 12) not null,
    primary key (org_id, kind, id)
);
select isolate('audited', 'org_id');

create table audit_mark (
    one         boolean primary key default true constraint audit_mark_one check (one),
    -- Null as long as everything has to be looked at: before the first time, and while something does not add up.
    until       timestamptz,
    -- Transfers of before this have been compared with their calls.
    transfers_until timestamptz not null default 'epoch',
    -- Hours before this one have been compared with their calls.
    hours_until timestamptz not null default 'epoch',
    -- When everything has to be looked at again.
    full_due    timestamptz not null default 'epoch',
    -- No audit before this, on any node.
    due         timestamptz not null default 'epoch',
    -- The last one that ended, and what it found.
    audited_at  timestamptz,
    drifts      integer not null default 0
);
insert into audit_mark default values;

revoke all on audit_mark from farebox_tenant;
revoke insert, update, delete on audited from farebox_tenant;
