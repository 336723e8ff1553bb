-- Calls that were settled long after they were begun, from a spool when the database was back. What the auditor keeps is of
-- calls by when they were begun, so it has to be told of these. Rules: ARCHITECTURE.md, "The ledger"; who writes it:
-- gateway/settle in the transaction of the call, gateway/reconcile afterwards.

create table audited_late (
    org_id     uuid not null,
    id         uuid not null,
    settled_at timestamptz not null default now(),
    -- Whether `audited` has it.
    counted    boolean not null default false,
    primary key (org_id, id)
);
select isolate('audited_late', 'org_id');
revoke insert, update, delete on audited_late from farebox_tenant;
