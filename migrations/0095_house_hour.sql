-- Sums of all organizations together, for the pages of the house: they do not go through everybody's hours.
--
-- An hour is summed when it has been over for a while. What is counted in it later leaves a mark, in the same transaction;
-- an hour with a mark, and every hour that is not summed yet, is read from `usage_hour`. So whoever asks gets the sums of
-- `usage_hour` at every moment, and settlements write nothing here.

create table house_hour (
    hour              timestamptz not null constraint house_hour_whole check (hour = date_trunc('hour', hour, 'UTC')),
    model             text not null,
    provider          text not null,
    requests          bigint not null,
    failed            bigint not null,
    -- Of sums in which no account of an organization's own was billed; `aside` is what the others cost.
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    cached_tokens     bigint not null,
    cost              numeric(24, 12) not null,
    aside             numeric(24, 12) not null,
    primary key (hour, model, provider)
);

-- Up to when hours are summed.
create table house_until (
    one   boolean primary key default true constraint house_until_one check (one),
    until timestamptz not null constraint house_until_whole check (until = date_trunc('hour', until, 'UTC'))
);

-- Only added to by those who count, so that nobody waits for whoever sums.
create table house_late (
    id   bigint not null generated always as identity primary key,
    hour timestamptz not null
);
create index house_late_by_hour on house_late (hour);
revoke all on house_hour, house_until, house_late from farebox_tenant;

-- As the owner: what a tenant changes is marked, too.
create function mark_late_hour() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
begin
    insert into public.house_late (hour) values (case when tg_op = 'DELETE' then old.hour else new.hour end);
    return null;
end $$;
revoke all on function mark_late_hour() from public;

-- An hour is summed three hours after its end at the earliest, by the clock of the database, and not while a transaction runs
-- that began within one hour of its end (`activity/house.rs`): whoever counted without a mark is over by then.
create trigger usage_hour_late after insert or update on usage_hour for each row
    when (new.hour < now() - interval '2 hours') execute function mark_late_hour();
create trigger usage_hour_gone after delete on usage_hour for each row
    when (old.hour < now() - interval '2 hours') execute function mark_late_hour();

-- What all organizations used in a span of whole hours.
create function house_used(since timestamptz, until timestamptz)
returns table (
    hour timestamptz, model text, provider text, requests bigint, failed bigint, prompt_tokens bigint,
    completion_tokens bigint, cached_tokens bigint, cost numeric, aside numeric
) language sql stable as $$
    with late as materialized (
        select distinct l.hour from public.house_late l
        where l.hour >= since and l.hour < house_used.until and l.hour < (select u.until from public.house_until u)
    )
    select h.hour, h.model, h.provider, h.requests, h.failed, h.prompt_tokens, h.completion_tokens, h.cached_tokens, h.cost,
        h.aside
    from public.house_hour h
    where h.hour >= since and h.hour < house_used.until and h.hour not in (select l.hour from late l)
    union all
    select h.hour, h.model, h.provider, h.requests, h.failed, w.tokens * h.prompt_tokens, w.tokens * h.completion_tokens,
        w.tokens * h.cached_tokens, w.tokens * h.cost, (1 - w.tokens) * h.cost
    from (
        select h.* from public.usage_hour h
        where h.hour >= greatest(since, (select u.until from public.house_until u)) and h.hour < house_used.until
        union all
        select h.* from late l join public.usage_hour h on h.hour = l.hour
    ) h
    cross join lateral (select case when h.upstream_cost > 0 then 0 else 1 end as tokens) w
$$;
revoke all on function house_used(timestamptz, timestamptz) from public;
