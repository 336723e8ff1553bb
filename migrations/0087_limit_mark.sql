-- Meters that came near a limit, so that nobody has to look through all of them for those that did.
--
-- A settlement compares numbers of the row that it writes anyway; only where one of them is near does the function run,
-- and only a crossing leaves a mark. Marks are only added here, so no settlement waits for whoever reads them.

create table limit_mark (
    org_id   uuid not null,
    id       bigint not null generated always as identity,
    meter_id uuid not null,
    constraint limit_mark_pkey primary key (org_id, id)
);
select isolate('limit_mark', 'org_id');

-- As the owner: what a tenant spends is marked whoever settles it, and a tenant changes limits too.
create function mark_limit() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
begin
    -- What was spent in another window, or is compared with another limit, was not told of.
    if exists (
        select from (values
            (new.limit_total, new.spent_total + case when new.include_byok then new.byok_total else 0 end,
                case when old.limit_total = new.limit_total
                    then old.spent_total + case when old.include_byok then old.byok_total else 0 end else 0 end),
            (new.limit_day, new.spent_day + case when new.include_byok then new.byok_day else 0 end,
                case when old.limit_day = new.limit_day and old.day = new.day
                    then old.spent_day + case when old.include_byok then old.byok_day else 0 end else 0 end),
            (new.limit_week, new.spent_week + case when new.include_byok then new.byok_week else 0 end,
                case when old.limit_week = new.limit_week and old.week = new.week
                    then old.spent_week + case when old.include_byok then old.byok_week else 0 end else 0 end),
            (new.limit_month, new.spent_month + case when new.include_byok then new.byok_month else 0 end,
                case when old.limit_month = new.limit_month and old.month = new.month
                    then old.spent_month + case when old.include_byok then old.byok_month else 0 end else 0 end)
        ) as w (amount, spent, before)
        -- Parts of a thousand, as in `near_limits` of src/keys/store/limits.rs.
        cross join (values (800), (995)) as p (tenths)
        where w.amount > 0 and w.spent * 1000 >= w.amount * p.tenths and w.before * 1000 < w.amount * p.tenths
    ) then
        insert into public.limit_mark (org_id, meter_id) values (new.org_id, new.id);
    end if;
    return null;
end $$;
revoke all on function mark_limit() from public;

-- Compared with null it is null, so without limits nothing fires. A hold changes none of these columns and compares nothing.
create trigger meter_marked
    after update of limit_total, limit_day, limit_week, limit_month, include_byok, spent_total, spent_day, spent_week, spent_month,
        byok_total, byok_day, byok_week, byok_month
    on meter for each row
    when ((new.spent_total + new.byok_total) * 10 >= new.limit_total * 8
        or (new.spent_day + new.byok_day) * 10 >= new.limit_day * 8
        or (new.spent_week + new.byok_week) * 10 >= new.limit_week * 8
        or (new.spent_month + new.byok_month) * 10 >= new.limit_month * 8)
    execute function mark_limit();

-- What is near already and was not told of.
insert into limit_mark (org_id, meter_id)
select org_id, id from meter
where (spent_total + byok_total) * 10 >= limit_total * 8
    or (spent_day + byok_day) * 10 >= limit_day * 8
    or (spent_week + byok_week) * 10 >= limit_week * 8
    or (spent_month + byok_month) * 10 >= limit_month * 8;
