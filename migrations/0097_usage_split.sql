-- Sums by part and bucket where buckets begin within an hour, as days do in zones that are half an hour off: of such an hour
-- only the calls of its shorter side are looked at. They are counted where they belong and taken off the sum of the hour, which
-- counts on the other side. `cut` are hours with more than one edge within, whose calls are all looked at; `hours` are those with
-- one, the `moments`. Otherwise as `usage_tally_cells`, which the version before still asks.
create function usage_split_cells(
    whose uuid, edges timestamptz[], cut timestamptz[], hours timestamptz[], moments timestamptz[], split text, of_model text,
    of_provider text, of_app text, of_key uuid, of_member uuid
) returns table (
    name text, bucket integer, requests numeric, failed numeric, prompt numeric, completion numeric, reasoning numeric,
    cached numeric, cost numeric, upstream numeric
) language sql stable set enable_sort = off as $$
    with parts as materialized (
        select s.hour, case when s.moment < s.hour + interval '30 minutes' then s.hour else s.moment end as since,
            case when s.moment < s.hour + interval '30 minutes' then s.moment else s.hour + interval '1 hour' end as until,
            -- Where the rest of the hour counts.
            case when s.moment < s.hour + interval '30 minutes' then s.moment else s.hour end as rest
        from unnest(hours, moments) s(hour, moment)
    ), looked_at as materialized (
        select p.since, p.rest,
            case split when 'key' then u.key_id::text when 'provider' then u.provider when 'app' then u.app
                when 'member' then coalesce(u.member_id, '00000000-0000-0000-0000-000000000000')::text
                when 'model' then u.model else '' end as name,
            count(*) as requests, count(*) filter (where u.status <> 'success') as failed, sum(u.prompt_tokens) as prompt,
            sum(u.completion_tokens) as completion, sum(u.reasoning_tokens) as reasoning, sum(u.cached_tokens) as cached,
            sum(u.cost) as cost, sum(u.upstream_cost) as upstream
        from parts p
        -- A question for each hour, as in `usage_tally`.
        cross join lateral (
            select * from public.usage o
            where o.org_id = whose and o.id >= public.call_floor(p.since - interval '5 minutes')
                and o.id < public.call_floor(p.until + interval '5 minutes')
                and o.created_at >= p.since and o.created_at < p.until
            offset 0
        ) u
        where (of_model is null or u.model = of_model) and (of_provider is null or u.provider = of_provider)
            and (of_app is null or u.app = of_app) and (of_key is null or u.key_id = of_key)
            and (of_member is null or coalesce(u.member_id, '00000000-0000-0000-0000-000000000000') = of_member)
        group by 1, 2, 3
    ), measured as (
        select h.hour as at, case split when 'key' then h.key_id::text when 'provider' then h.provider when 'app' then h.app
                when 'member' then h.member_id::text when 'model' then h.model else '' end as name,
            h.requests, h.failed, h.prompt_tokens as prompt, h.completion_tokens as completion,
            h.reasoning_tokens as reasoning, h.cached_tokens as cached, h.cost, h.upstream_cost as upstream
        from (
            select t.at as hour, t.model, t.provider, t.app, t.key_id, t.member_id, t.requests, t.failed, t.prompt_tokens,
                t.completion_tokens, t.reasoning_tokens, t.cached_tokens, t.cost, t.upstream_cost
            from public.usage_tally(whose, edges[1], edges[cardinality(edges)], cut) t
            where t.at <> all (hours)
            union all
            select p.rest, s.model, s.provider, s.app, s.key_id, s.member_id, s.requests, s.failed, s.prompt_tokens,
                s.completion_tokens, s.reasoning_tokens, s.cached_tokens, s.cost, s.upstream_cost
            from parts p join public.usage_hour s on s.org_id = whose and s.hour = p.hour
        ) h
        where (of_model is null or h.model = of_model) and (of_provider is null or h.provider = of_provider)
            and (of_app is null or h.app = of_app) and (of_key is null or h.key_id = of_key)
            and (of_member is null or h.member_id = of_member)
        union all
        select w.at, l.name, w.sign * l.requests, w.sign * l.failed, w.sign * l.prompt, w.sign * l.completion,
            w.sign * l.reasoning, w.sign * l.cached, w.sign * l.cost, w.sign * l.upstream
        from looked_at l cross join lateral (values (l.since, 1), (l.rest, -1)) w(at, sign)
    )
    select m.name, width_bucket(m.at, edges), sum(m.requests), sum(m.failed), sum(m.prompt), sum(m.completion),
        sum(m.reasoning), sum(m.cached), sum(m.cost), sum(m.upstream)
    from measured m
    where m.at >= edges[1] and m.at < edges[cardinality(edges)]
    group by 1, 2
    -- Of an hour all of whose calls of a part are on one side, nothing is left on the other.
    having sum(m.requests) <> 0
$$;
