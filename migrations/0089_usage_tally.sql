-- The sums of calls with what providers took themselves among them, from accounts of the organization's own. As
-- `usage_measured` and `usage_cells` otherwise, which the version before still asks; they go with the next release.
create function usage_tally(whose uuid, since timestamptz, until timestamptz, cut timestamptz[])
returns table (
    at timestamptz, model text, provider text, app text, key_id uuid, member_id uuid, requests bigint, failed bigint,
    prompt_tokens bigint, completion_tokens bigint, reasoning_tokens bigint, cached_tokens bigint, cost numeric,
    upstream_cost numeric
) language sql stable as $$
    select h.hour, h.model, h.provider, h.app, h.key_id, h.member_id, h.requests, h.failed, h.prompt_tokens,
        h.completion_tokens, h.reasoning_tokens, h.cached_tokens, h.cost, h.upstream_cost
    from public.usage_hour h
    where h.org_id = whose and h.hour >= since and h.hour < until and h.hour <> all (cut)
    union all
    select u.created_at, u.model, u.provider, u.app, u.key_id,
        coalesce(u.member_id, '00000000-0000-0000-0000-000000000000'), 1::bigint,
        case when u.status = 'success' then 0 else 1 end::bigint, u.prompt_tokens, u.completion_tokens, u.reasoning_tokens,
        u.cached_tokens, u.cost, u.upstream_cost
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

-- Sums by part and bucket, hashed and never sorted: see 0084.
create function usage_tally_cells(
    whose uuid, edges timestamptz[], cut timestamptz[], split text, of_model text, of_provider text, of_app text,
    of_key uuid, of_member uuid
) returns table (
    name text, bucket integer, requests numeric, failed numeric, prompt numeric, completion numeric, reasoning numeric,
    cached numeric, cost numeric, upstream numeric
) language sql stable set enable_sort = off as $$
    select case split when 'key' then m.key_id::text when 'provider' then m.provider when 'app' then m.app
            when 'member' then m.member_id::text when 'model' then m.model else '' end,
        width_bucket(m.at, edges), sum(m.requests), sum(m.failed), sum(m.prompt_tokens), sum(m.completion_tokens),
        sum(m.reasoning_tokens), sum(m.cached_tokens), sum(m.cost), sum(m.upstream_cost)
    from public.usage_tally(whose, edges[1], edges[cardinality(edges)], cut) m
    where (of_model is null or m.model = of_model) and (of_provider is null or m.provider = of_provider)
        and (of_app is null or m.app = of_app) and (of_key is null or m.key_id = of_key)
        and (of_member is null or m.member_id = of_member)
    group by 1, 2
$$;
