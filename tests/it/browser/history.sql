-- A month of calls of one organization, the same at every run but for the day. Costs have no transfers:
-- these rows are looked at, never audited.
with models (model, provider, weight, prompt_price, completion_price) as (
    values ('openai/gpt-6-astra', 'openai', 3, 1.25, 10),
        ('anthropic/claude-sonnet-5', 'anthropic', 4, 3, 15),
        ('google/gemini-4-flash', 'google', 6, 0.3, 2.5),
        ('deepseek/deepseek-v4', 'deepseek', 5, 0.28, 0.42),
        ('mistralai/mistral-large-4', 'mistral', 2, 2, 6)
), keys as (
    select id, org_id, created_by, name, row_number() over (order by id) as nth from api_key
    where name in ('Laptop', 'Blog plugin', 'Conference demo')
), calls as (
    select m.*, k.id as key_id, k.org_id, k.created_by,
        date_trunc('hour', now()) - make_interval(hours => h, secs => (h * 37 + c * 613 + length(m.model) * 71) % 3600) as at,
        ('x' || substr(md5(m.model || h || c), 1, 6))::bit(24)::int as dice
    from models m, generate_series(2, 29 * 24) as h, generate_series(1, 2) as c
    join keys k on true
    where (h * 7 + c * 11 + length(m.model)) % (29 + (3 - k.nth::int) * 8) < m.weight
        and extract(hour from now() - make_interval(hours => h)) between 6 and 21
), made as (
    select *, 1400 + dice % 19200 as prompt, 160 + dice / 7 % 2400 as completion,
        case when dice % 41 = 0 then 'failed' when dice % 67 = 0 then 'rejected' else 'success' end as status
    from calls
), priced as (
    select *, case when status = 'success' then (prompt * prompt_price + completion * completion_price) / 1000000 else 0 end as cost
    from made
), logged as (
    insert into usage (org_id, id, created_at, key_id, member_id, app, request_id, model_asked, model, provider, streamed, status,
        http_status, finish_reason, prompt_tokens, completion_tokens, counted_by, cost, hold, transfer_id, first_token_ms, duration_ms)
    select org_id, overlay(overlay(md5(model || at || key_id || dice)
            placing lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') from 1 for 12) placing '7' from 13 for 1)::uuid,
        at, key_id, created_by, (array['LobeChat', 'Open WebUI', '', 'AI Engine'])[1 + dice % 4], 'history', model, model, provider, true,
        status, case status when 'success' then 200 when 'failed' then 502 else 402 end,
        case when status = 'success' then 'stop' else '' end, prompt, case when status = 'success' then completion else 0 end,
        'upstream', cost, cost * 2, case when cost > 0 then gen_random_uuid() end, 300 + dice % 900, 900 + completion * 9
    from priced
    on conflict do nothing
    returning *
)
insert into usage_hour (org_id, hour, model, provider, key_id, member_id, app, requests, failed, prompt_tokens, completion_tokens,
    reasoning_tokens, cached_tokens, cost)
select org_id, date_trunc('hour', created_at, 'UTC'), model, provider, key_id, member_id, app, count(*),
    count(*) filter (where status <> 'success'), sum(prompt_tokens), sum(completion_tokens), 0, 0, sum(cost)
from logged group by org_id, date_trunc('hour', created_at, 'UTC'), model, provider, key_id, member_id, app;
