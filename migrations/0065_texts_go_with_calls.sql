-- Calls that are deleted take their stored texts along: nobody could see those any more, nor find them to erase them.
-- Otherwise as in 0056.

-- Deletes the oldest calls of an organization that began before `before`, a whole hour, at most `most` of them, and keeps
-- what the books need. Returns how many there were.
create or replace function close_usage(whose uuid, before timestamptz, most integer) returns bigint language plpgsql as $$
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
    ), texts as (
        delete from public.call_text t using gone where t.org_id = whose and t.call_id = gone.id
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
