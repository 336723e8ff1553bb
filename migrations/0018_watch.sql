-- A balance is watched for falling below an amount, and whoever wants to know is told once for each time.

-- Numbers crossings for ever, so that a watch which was taken away and set again never repeats one.
create sequence watch_crossing;

create table watch (
    org_id   uuid not null references org (id),
    kind     text not null constraint watch_kind check (kind in ('low_balance', 'auto_topup')),
    below    numeric(24, 12) not null,
    -- Having fired, it can fire again once the balance was at least this.
    rearm_at numeric(24, 12) not null,
    armed    boolean not null,
    -- The number of the last crossing.
    crossing bigint,
    fired_at timestamptz,
    primary key (org_id, kind),
    constraint watch_rearms_above check (rearm_at >= below)
);

-- The balances at which a watch of the organization has to be looked at; null where there is none. A settlement
-- compares with these two, and reads nothing else.
alter table credit
    add column watch_low  numeric(24, 12),
    add column watch_high numeric(24, 12);

create function watch_bounds(whose uuid) returns void language sql set search_path = pg_catalog, pg_temp as $$
    update public.credit c set watch_low = w.low, watch_high = w.high
    from (
        select max(below) filter (where armed) as low, min(rearm_at) filter (where not armed) as high
        from public.watch where org_id = whose
    ) w
    where c.org_id = whose and (c.watch_low is distinct from w.low or c.watch_high is distinct from w.high)
$$;

-- Runs in the transaction that moved the balance, under the lock of its row: a crossing and its job exist exactly if the
-- movement does. As the owner, because a tenant may neither number crossings nor see the queue. The queue's own
-- function is made when a server starts, after the migrations.
create function watch_credit() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
declare
    fell record;
begin
    for fell in
        update public.watch
        set armed = false, fired_at = clock_timestamp(), crossing = nextval('public.watch_crossing')
        where org_id = new.org_id and armed and new.posted < below
        returning kind, crossing
    loop
        perform public.enqueue_job(
            'balance_crossed',
            json_build_object('org', 'org_' || replace(new.org_id::text, '-', ''), 'kind', fell.kind,
                'crossing', fell.crossing),
            12,
            'balance_crossed:' || fell.crossing,
            0
        );
    end loop;
    update public.watch set armed = true where org_id = new.org_id and not armed and new.posted >= rearm_at;
    perform public.watch_bounds(new.org_id);
    return null;
end $$;
revoke all on function watch_credit() from public;

create trigger credit_watched after update of posted on credit for each row
    when (new.posted < new.watch_low or new.posted >= new.watch_high)
    execute function watch_credit();

-- What an organization changed about its low-balance mail. Without a row it is as for everybody.
create table balance_alert (
    org_id     uuid primary key references org (id),
    enabled    boolean not null,
    below      numeric(24, 12) not null constraint balance_alert_positive check (below > 0),
    to_owners  boolean not null,
    to_billing boolean not null,
    more       text[] not null constraint balance_alert_few check (cardinality(more) <= 5),
    changed_at timestamptz not null default now()
);

-- On by default: the amounts of `Threshold::DEFAULT` in src/ledger/watch.rs.
insert into watch (org_id, kind, below, rearm_at, armed)
select c.org_id, 'low_balance', 5, 6, c.posted >= 5 from credit c join org o on o.id = c.org_id where o.deleted_at is null;
update credit c set watch_low = case when w.armed then w.below end, watch_high = case when not w.armed then w.rearm_at end
from watch w where w.org_id = c.org_id;

select isolate('watch', 'org_id');
select isolate('balance_alert', 'org_id');
