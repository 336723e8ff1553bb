-- Calls on an organization's own provider accounts: they cost a fee on what the provider's list price would have come
-- to, above a monthly allowance. And a discount, for those who let their calls be logged with their texts.

-- The list price of such calls in one calendar month (UTC); what the allowance is compared with.
create table own_month (
    org_id uuid not null,
    month  date not null constraint own_month_first check (extract(day from month) = 1),
    used   numeric(24, 12) not null default 0 constraint own_month_used check (used >= 0),
    constraint own_month_pkey primary key (org_id, month)
);
select isolate('own_month', 'org_id');

-- What the provider may come to at most, for limits that count it. It is nobody's credit.
alter table hold add column byok numeric(24, 12) not null default 0 constraint hold_byok_not_negative check (byok >= 0);
alter table meter add column held_byok numeric(24, 12) not null default 0
    constraint meter_held_byok_not_negative check (held_byok >= 0);

alter table usage
    -- What the provider takes for the call, by its list price; only with a key of the organization's own.
    add column upstream_cost numeric(24, 12) not null default 0 constraint usage_upstream_cost check (upstream_cost >= 0),
    -- The part of it that the allowance covered, and the fee on the rest as a part of one.
    add column byok_free numeric(24, 12) not null default 0 constraint usage_byok_free check (byok_free between 0 and upstream_cost),
    add column byok_rate numeric(24, 12) not null default 0 constraint usage_byok_rate check (byok_rate between 0 and 1),
    -- Already taken off `cost`.
    add column discount numeric(24, 12) not null default 0 constraint usage_discount check (discount >= 0);
alter table usage_hour add column upstream_cost numeric(24, 12) not null default 0;

create type byok_hold as (org_id uuid, id uuid, amount numeric(24, 12));
create type byok_change as (org_id uuid, id uuid, spend numeric(24, 12), release numeric(24, 12));
-- `paid`: whether the allowance was used up before, or covers all of `list`. Anything between is for the slow way.
create type own_change as (org_id uuid, list numeric(24, 12), allowance numeric(24, 12), paid boolean);
create type usage_detail as (
    org_id uuid, id uuid, is_byok boolean, upstream_cost numeric(24, 12), byok_free numeric(24, 12),
    byok_rate numeric(24, 12), discount numeric(24, 12)
);
create type hour_detail as (
    org_id uuid, hour timestamptz, key_id uuid, model text, provider text, app text, member_id uuid,
    upstream_cost numeric(24, 12)
);

-- As before, but limits that count the provider's price count what is held of it, too.
create or replace function hold_calls(credits credit_hold[], meters meter_hold[], holds hold_line[], ttl interval)
returns boolean language plpgsql as $$
declare
    raised bigint;
    today  date := (clock_timestamp() at time zone 'utc')::date;
    monday date := date_trunc('week', today)::date;
    first  date := date_trunc('month', today)::date;
begin
    update public.credit c set held = c.held + x.amount
    from unnest(credits) x
    where c.org_id = x.org_id and c.posted >= 0 and c.held + x.amount <= c.posted;
    get diagnostics raised = row_count;
    if raised <> cardinality(credits) then
        raise exception using errcode = 'FB001';
    end if;
    update public.meter m set held = m.held + x.amount
    from unnest(meters) x
    where m.org_id = x.org_id and m.id = x.id
        -- The least of no limit at all is null.
        and coalesce(m.held + case when m.include_byok then m.held_byok else 0 end + x.amount <= least(
            m.limit_total - m.spent_total - case when m.include_byok then m.byok_total else 0 end,
            m.limit_day - case when m.day < today then 0
                else m.spent_day + case when m.include_byok then m.byok_day else 0 end end,
            m.limit_week - case when m.week < monday then 0
                else m.spent_week + case when m.include_byok then m.byok_week else 0 end end,
            m.limit_month - case when m.month < first then 0
                else m.spent_month + case when m.include_byok then m.byok_month else 0 end end
        ), true);
    get diagnostics raised = row_count;
    if raised <> cardinality(meters) then
        raise exception using errcode = 'FB001';
    end if;
    insert into public.hold (org_id, id, amount, meters, memo, expires_at)
    select x.org_id, x.id, x.amount, x.meters, x.memo, now() + ttl from unnest(holds) x;
    return true;
exception when sqlstate 'FB001' then
    return false;
end $$;

-- The same for a batch in which calls may go to a provider account of the organization's own. `byok` is what the
-- provider may come to on each meter, `own` the same for each hold.
create function hold_own_calls(credits credit_hold[], meters meter_hold[], holds hold_line[], ttl interval,
    byok byok_hold[], own byok_hold[])
returns boolean language plpgsql as $$
declare
    raised bigint;
    today  date := (clock_timestamp() at time zone 'utc')::date;
    monday date := date_trunc('week', today)::date;
    first  date := date_trunc('month', today)::date;
begin
    if not public.hold_calls(credits, meters, holds, ttl) then
        return false;
    end if;
    -- These rows are locked already. `held` has this batch in it.
    update public.meter m set held_byok = m.held_byok + x.amount
    from unnest(byok) x
    where m.org_id = x.org_id and m.id = x.id
        and (not m.include_byok or coalesce(m.held + m.held_byok + x.amount <= least(
            m.limit_total - m.spent_total - m.byok_total,
            m.limit_day - case when m.day < today then 0 else m.spent_day + m.byok_day end,
            m.limit_week - case when m.week < monday then 0 else m.spent_week + m.byok_week end,
            m.limit_month - case when m.month < first then 0 else m.spent_month + m.byok_month end
        ), true));
    get diagnostics raised = row_count;
    if raised <> cardinality(byok) then
        raise exception using errcode = 'FB001';
    end if;
    update public.hold h set byok = x.amount from unnest(own) x where h.org_id = x.org_id and h.id = x.id;
    return true;
exception when sqlstate 'FB001' then
    return false;
end $$;

-- Settles a batch in which calls went to a provider account of the organization's own, or have a discount: the same
-- function does what it does for every call, and beside it stand the allowance, what the provider took on each meter,
-- and what the log knows of it. Everything or nothing. Rows of `own_month` come before all others in the one order.
create function settle_own_calls(
    lines usage_line[], ended integer, credits credit_change[], meters meter_change[], transfers transfer_line[],
    hours hour_line[], own own_change[], byok byok_change[], details usage_detail[], hour_details hour_detail[]
) returns boolean language plpgsql as $$
declare
    done  bigint;
    first date := date_trunc('month', clock_timestamp() at time zone 'utc')::date;
begin
    if cardinality(own) > 0 then
        insert into public.own_month (org_id, month) select x.org_id, first from unnest(own) x
        on conflict (org_id, month) do nothing;
        update public.own_month o set used = o.used + x.list
        from unnest(own) x
        where o.org_id = x.org_id and o.month = first
            and case when x.paid then o.used >= x.allowance else o.used + x.list <= x.allowance end;
        get diagnostics done = row_count;
        if done <> cardinality(own) then
            raise exception using errcode = 'FB001';
        end if;
    end if;
    if not public.settle_calls(lines, ended, credits, meters, transfers, hours) then
        raise exception using errcode = 'FB001';
    end if;
    -- The windows of these rows were rolled by the line above.
    update public.meter m set
        held_byok = m.held_byok - x.release,
        byok_total = m.byok_total + x.spend,
        byok_day = m.byok_day + x.spend,
        byok_week = m.byok_week + x.spend,
        byok_month = m.byok_month + x.spend
    from unnest(byok) x
    where m.org_id = x.org_id and m.id = x.id;
    update public.usage u set is_byok = x.is_byok, upstream_cost = x.upstream_cost, byok_free = x.byok_free,
        byok_rate = x.byok_rate, discount = x.discount
    from unnest(details) x
    where u.org_id = x.org_id and u.id = x.id;
    update public.usage_hour h set upstream_cost = h.upstream_cost + x.upstream_cost
    from unnest(hour_details) x
    where h.org_id = x.org_id and h.hour = x.hour and h.key_id = x.key_id and h.model = x.model
        and h.provider = x.provider and h.app = x.app and h.member_id = x.member_id;
    return true;
exception when sqlstate 'FB001' then
    return false;
end $$;
