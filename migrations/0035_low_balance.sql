-- Who never holds the amount of the alert is told of low credits as well, and whoever buys a little again is told again.

alter table watch
    -- Below which balance it fires now, where that is not the amount itself: credits came in and did not reach it.
    add column fires_below numeric(24, 12),
    -- Below which balance it fired the last time.
    add column fired_below numeric(24, 12);

create or replace function watch_bounds(whose uuid) returns void language sql set search_path = pg_catalog, pg_temp as $$
    update public.credit c set watch_low = w.low
    from (
        select max(coalesce(fires_below, below)) filter (where armed) as low from public.watch where org_id = whose
    ) w
    where c.org_id = whose and c.watch_low is distinct from w.low
$$;

create or replace function watch_credit() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
declare
    fell record;
    rise numeric := new.posted - old.posted;
begin
    for fell in
        update public.watch
        set armed = false, fired_at = clock_timestamp(), crossing = nextval('public.watch_crossing'),
            fired_below = coalesce(fires_below, below)
        where org_id = new.org_id and armed and new.posted < coalesce(fires_below, below)
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
    if rise > 0 then
        -- Well above again, or lifted over the amount by a sum that is no mere swing around it.
        update public.watch set armed = true, fires_below = null
        where org_id = new.org_id and new.posted >= below
            and (fires_below is not null or not armed and (new.posted >= rearm_at or rise >= rearm_at - below));
        -- A dollar or more came in and does not reach the amount: half of what is there then takes its place.
        update public.watch set armed = true, fires_below = new.posted / 2
        where org_id = new.org_id and kind = 'low_balance' and new.posted < below and rise >= 1 and new.posted > 0;
    end if;
    perform public.watch_bounds(new.org_id);
    return null;
end $$;

-- Only a rise can arm one, so a settlement compares with one number and reads nothing else.
drop trigger credit_watched on credit;
create trigger credit_watched after update of posted on credit for each row
    when (new.posted < new.watch_low or new.posted > old.posted)
    execute function watch_credit();
alter table credit drop column watch_high;
