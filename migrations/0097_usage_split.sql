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
    ), measured as (
        select m.* from public.usage_tally(whose, edges[1], edges[cardinality(edges)], cut) m
        where m.at <> all (hours)
        union all
        select p.rest, h.model, h.provider, h.app, h.key_id, h.member_id, h.requests, h.failed, h.prompt_tokens,
            h.completion_tokens, h.reasoning_tokens, h.cached_tokens, h.cost, h.upstream_cost
        from parts p join public.usage_hour h on h.org_id = whose and h.hour = p.hour
        union all
        select w.at, u.model, u.provider, u.app, u.key_id,
            coalesce(u.member_id, '00000000-0000-0000-0000-000000000000'), w.sign,
            case when u.status = 'success' then 0 else w.sign end, w.sign * u.prompt_tokens, w.sign * u.completion_tokens,
            w.sign * u.reasoning_tokens, w.sign * u.cached_tokens, w.sign * u.cost, w.sign * u.upstream_cost
        from parts p
        -- A question for each hour, as in `usage_tally`.
        cross join lateral (
            select * from public.usage o
            where o.org_id = whose and o.id >= public.call_floor(p.since - interval '5 minutes')
                and o.id < public.call_floor(p.until + interval '5 minutes')
                and o.created_at >= p.since and o.created_at < p.until
            offset 0
        ) u
        cross join lateral (values (u.created_at, 1::bigint), (p.rest, -1::bigint)) w(at, sign)
    )
    select case split when 'key' then m.key_id::text when 'provider' then m.provider when 'app' then m.app
            when 'member' then m.member_id::text when 'model' then m.model else '' end,
        width_bucket(m.at, edges), sum(m.requests), sum(m.failed), sum(m.prompt_tokens), sum(m.completion_tokens),
        sum(m.reasoning_tokens), sum(m.cached_tokens), sum(m.cost), sum(m.upstream_cost)
    from measured m
    where m.at >= edges[1] and m.at < edges[cardinality(edges)]
        and (of_model is null or m.model = of_model) and (of_provider is null or m.provider = of_provider)
        and (of_app is null or m.app = of_app) and (of_key is null or m.key_id = of_key)
        and (of_member is null or m.member_id = of_member)
    group by 1, 2
    -- Of an hour all of whose calls of a part are on one side, nothing is left on the other.
    having sum(m.requests) <> 0
$$;
