-- Sums over any stretch of time, to the moment; and what stays of calls whose time is over.

-- The sums of hours and, in place of the hours in `cut`, the calls themselves: so sums are exact wherever days begin, also
-- half an hour off. Of a call, `at` is its moment; of a sum, the beginning of its hour. The id of a call carries its time,
-- so that the calls of an hour are found without looking at others; five minutes are more than the two ever differ.
create function usage_measured(whose uuid, since timestamptz, until timestamptz, cut timestamptz[])
returns table (
    at timestamptz, model text, provider text, app text, key_id uuid, member_id uuid, requests bigint, failed bigint,
    prompt_tokens bigint, completion_tokens bigint, reasoning_tokens bigint, cached_tokens bigint, cost numeric
) language sql stable as $$
    select h.hour, h.model, h.provider, h.app, h.key_id, h.member_id, h.requests, h.failed, h.prompt_tokens,
        h.completion_tokens, h.reasoning_tokens, h.cached_tokens, h.cost
    from public.usage_hour h
    where h.org_id = whose and h.hour >= since and h.hour < until and h.hour <> all (cut)
    union all
    select u.created_at, u.model, u.provider, u.app, u.key_id,
        coalesce(u.member_id, '00000000-0000-0000-0000-000000000000'), 1::bigint,
        case when u.status = 'success' then 0 else 1 end::bigint, u.prompt_tokens, u.completion_tokens, u.reasoning_tokens,
        u.cached_tokens, u.cost
    from unnest(cut) c(hour)
    -- The offset keeps this a question for each hour: joined freely, all calls of the organization were compared with all hours.
    cross join lateral (
        select * from public.usage o
        where o.org_id = whose and o.id >= public.call_floor(c.hour - interval '5 minutes')
            and o.id < public.call_floor(c.hour + interval '65 minutes')
            and o.created_at >= greatest(c.hour, since) and o.created_at < least(c.hour + interval '1 hour', until)
        offset 0
    ) u
$$;

-- How many days this organization keeps its calls, where that is fewer than the instance does. Not fewer than the days of
-- a month and its edges in every zone, which are summed from the calls.
alter table org add column usage_days integer constraint org_usage_days check (usage_days between 35 and 3650);

-- What a provider took for calls with a key of the organization's own. The migration of such calls has made these columns
-- already; kept sums need them in any case.
alter table usage add column if not exists upstream_cost numeric(24, 12) not null default 0;
alter table usage_hour add column if not exists upstream_cost numeric(24, 12) not null default 0;

-- What the books still need of calls that are gone: for each transfer and set of meters, what the calls of it came to that
-- went together; one whose cost went beyond its hold stands alone, under its own id. The auditor adds these to the calls.
create table usage_closed (
    org_id      uuid not null,
    -- The first of the calls.
    id          uuid not null,
    calls       bigint not null,
    transfer_id uuid,
    meters      uuid[] not null,
    cost        numeric(24, 12) not null,
    overrun     numeric(24, 12) not null,
    upstream_cost numeric(24, 12) not null,
    primary key (org_id, id)
);

-- Up to when the calls of an organization may be gone, and what those came to that are: the sums of hours before `until`
-- are these and the calls that are there.
create table usage_closed_until (
    org_id            uuid primary key,
    until             timestamptz not null
        constraint usage_closed_hour check (until = date_trunc('hour', until, 'UTC')),
    requests          bigint not null,
    failed            bigint not null,
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    reasoning_tokens  bigint not null,
    cached_tokens     bigint not null,
    cost              numeric(24, 12) not null,
    upstream_cost     numeric(24, 12) not null
);

-- Deletes the oldest calls of an organization that began before `before`, a whole hour, at most `most` of them, and keeps
-- what the books need. Returns how many there were.
create function close_usage(whose uuid, before timestamptz, most integer) returns bigint language plpgsql as $$
declare
    closed bigint;
begin
    -- One at a time for an organization.
    perform pg_advisory_xact_lock(hashtextextended(whose::text, 53));
    with gone as (
        delete from public.usage u
        where u.org_id = whose and u.id < public.call_floor(before + interval '5 minutes') and u.id in (
            select o.id from public.usage o
            where o.org_id = whose and o.id < public.call_floor(before + interval '5 minutes') and o.created_at < before
            order by o.id limit most
        )
        returning u.id, u.transfer_id, u.meters, u.cost, u.overrun, u.status, u.prompt_tokens, u.completion_tokens,
            u.reasoning_tokens, u.cached_tokens, u.upstream_cost
    ), kept as (
        insert into public.usage_closed (org_id, id, calls, transfer_id, meters, cost, overrun, upstream_cost)
        select whose, (array_agg(id order by id))[1], count(*), transfer_id, meters, sum(cost), sum(overrun),
            sum(upstream_cost)
        from gone where cost > 0 or overrun > 0 or upstream_cost > 0
        group by transfer_id, meters, case when overrun > 0 then id end
    ), marked as (
        insert into public.usage_closed_until as c (org_id, until, requests, failed, prompt_tokens, completion_tokens,
            reasoning_tokens, cached_tokens, cost, upstream_cost)
        select whose, before, count(*), count(*) filter (where status <> 'success'), coalesce(sum(prompt_tokens), 0),
            coalesce(sum(completion_tokens), 0), coalesce(sum(reasoning_tokens), 0), coalesce(sum(cached_tokens), 0),
            coalesce(sum(cost), 0), coalesce(sum(upstream_cost), 0)
        from gone having count(*) > 0
        on conflict (org_id) do update set
            until = greatest(c.until, excluded.until),
            requests = c.requests + excluded.requests,
            failed = c.failed + excluded.failed,
            prompt_tokens = c.prompt_tokens + excluded.prompt_tokens,
            completion_tokens = c.completion_tokens + excluded.completion_tokens,
            reasoning_tokens = c.reasoning_tokens + excluded.reasoning_tokens,
            cached_tokens = c.cached_tokens + excluded.cached_tokens,
            cost = c.cost + excluded.cost,
            upstream_cost = c.upstream_cost + excluded.upstream_cost
    )
    select count(*) into closed from gone;
    return closed;
end $$;

select isolate('usage_closed', 'org_id');
select isolate('usage_closed_until', 'org_id');
