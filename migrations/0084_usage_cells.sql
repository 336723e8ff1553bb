-- Sums by part and bucket, hashed and never sorted: what finding the calls of hours that are cut is thought to cost hides
-- from the planner that sorting tens of thousands of rows costs more than adding them up.
create function usage_cells(
    whose uuid, edges timestamptz[], cut timestamptz[], split text, of_model text, of_provider text, of_app text,
    of_key uuid, of_member uuid
) returns table (
    name text, bucket integer, requests numeric, failed numeric, prompt numeric, completion numeric, reasoning numeric,
    cached numeric, cost numeric
) language sql stable set enable_sort = off as $$
    select case split when 'key' then m.key_id::text when 'provider' then m.provider when 'app' then m.app
            when 'member' then m.member_id::text when 'model' then m.model else '' end,
        width_bucket(m.at, edges), sum(m.requests), sum(m.failed), sum(m.prompt_tokens), sum(m.completion_tokens),
        sum(m.reasoning_tokens), sum(m.cached_tokens), sum(m.cost)
    from public.usage_measured(whose, edges[1], edges[cardinality(edges)], cut) m
    where (of_model is null or m.model = of_model) and (of_provider is null or m.provider = of_provider)
        and (of_app is null or m.app = of_app) and (of_key is null or m.key_id = of_key)
        and (of_member is null or m.member_id = of_member)
    group by 1, 2
$$;
