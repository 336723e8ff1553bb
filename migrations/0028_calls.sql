-- The two things that every call does to the books, each as one function: a batch of calls is one round trip, and what
-- it was not meant for leaves nothing behind. Rules: ARCHITECTURE.md, "The ledger".
--
-- Values come as arrays of rows. Arrays of columns side by side would cost Postgres more than the writing itself.

create type credit_hold as (org_id uuid, amount numeric(24, 12));
create type meter_hold as (org_id uuid, id uuid, amount numeric(24, 12));
create type hold_line as (org_id uuid, id uuid, amount numeric(24, 12), meters uuid[], memo text);

create type credit_change as (org_id uuid, charge numeric(24, 12), release numeric(24, 12));
create type meter_change as (org_id uuid, id uuid, spend numeric(24, 12), release numeric(24, 12));
create type transfer_line as (
    id uuid, code text, reference text, debit_account uuid, credit_account uuid, amount numeric(24, 12), org_id uuid,
    memo text
);
create type usage_line as (
    org_id uuid, id uuid, created_at timestamptz, key_id uuid, member_id uuid, app text, referer text, user_agent text,
    request_id text, model_asked text, model text, provider text, upstream_model text, upstream_id text,
    streamed boolean, status text, cancelled boolean, http_status smallint, error text, finish_reason text,
    native_finish text, prompt_tokens bigint, completion_tokens bigint, cached_tokens bigint, cache_write_tokens bigint,
    reasoning_tokens bigint, counted_by text, price_version uuid, cost numeric(24, 12), overrun numeric(24, 12),
    hold numeric(24, 12), transfer_id uuid, meters uuid[], first_token_ms integer, duration_ms integer, attempts jsonb
);
create type hour_line as (
    org_id uuid, hour timestamptz, key_id uuid, model text, provider text, app text, member_id uuid, requests bigint,
    failed bigint, prompt_tokens bigint, completion_tokens bigint, reasoning_tokens bigint, cached_tokens bigint,
    cost numeric(24, 12)
);

-- Writes all these holds and raises `held` on their rows, or does nothing. False when something does not fit or does
-- not exist. Credits are locked in the order of organizations, then meters, as the arrays stand. What is compared is
-- the row as the last transaction before left it, because that is what an update sees. Each row that does not fit is
-- missed by its update; the block then takes back what the others got.
create function hold_calls(credits credit_hold[], meters meter_hold[], holds hold_line[], ttl interval)
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
        and coalesce(m.held + x.amount <= least(
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

-- Ends the holds of calls, charges and releases, and logs the calls, or does nothing. False when anything is not as it
-- was told: a hold that is gone or another one, a call that has its row already. `ended` is how many of the lines end a
-- hold; the others are calls that were refused. Rows are locked in the one order: holds, credits, meters, sums.
--
-- Nothing waits for the disk here, so that the rows are free again at once. Whoever calls this must flush the log of
-- the database before it tells anybody.
create function settle_calls(
    lines usage_line[], ended integer, credits credit_change[], meters meter_change[], transfers transfer_line[],
    hours hour_line[]
) returns boolean language plpgsql as $$
declare
    done   bigint;
    today  date;
    monday date;
    first  date;
begin
    perform set_config('synchronous_commit', 'off', true);
    delete from public.hold h
    using unnest(lines) x
    where h.org_id = x.org_id and h.id = x.id and h.amount = x.hold and h.meters = x.meters;
    get diagnostics done = row_count;
    if done <> ended then
        raise exception using errcode = 'FB001';
    end if;
    update public.credit c set posted = c.posted - x.charge, held = c.held - x.release
    from unnest(credits) x
    where c.org_id = x.org_id;
    -- The day is that of the moment in which the credits are locked. A window that it has passed starts at this
    -- spending. A clock that looks earlier than the row (midnight passed while another lock was waited for) never turns
    -- a window back.
    today := (clock_timestamp() at time zone 'utc')::date;
    monday := date_trunc('week', today)::date;
    first := date_trunc('month', today)::date;
    update public.meter m set
        held = m.held - x.release,
        spent_total = m.spent_total + x.spend,
        spent_day = x.spend + case when m.day >= today then m.spent_day else 0 end,
        spent_week = x.spend + case when m.week >= monday then m.spent_week else 0 end,
        spent_month = x.spend + case when m.month >= first then m.spent_month else 0 end,
        byok_day = case when m.day >= today then m.byok_day else 0 end,
        byok_week = case when m.week >= monday then m.byok_week else 0 end,
        byok_month = case when m.month >= first then m.byok_month else 0 end,
        day = greatest(m.day, today),
        week = greatest(m.week, monday),
        month = greatest(m.month, first),
        last_used_at = clock_timestamp()
    from unnest(meters) x
    where m.org_id = x.org_id and m.id = x.id;
    insert into public.transfer (id, code, reference, debit_account, credit_account, amount, org_id, memo)
    select * from unnest(transfers);
    insert into public.usage (org_id, id, created_at, key_id, member_id, app, referer, user_agent, request_id,
        model_asked, model, provider, upstream_model, upstream_id, streamed, status, cancelled, http_status, error,
        finish_reason, native_finish, prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens,
        reasoning_tokens, counted_by, price_version, cost, overrun, hold, transfer_id, meters, first_token_ms,
        duration_ms, attempts)
    select * from unnest(lines)
    on conflict (org_id, id) do nothing;
    get diagnostics done = row_count;
    if done <> cardinality(lines) then
        raise exception using errcode = 'FB001';
    end if;
    insert into public.usage_hour as h (org_id, hour, key_id, model, provider, app, member_id, requests, failed,
        prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, cost)
    select * from unnest(hours)
    on conflict (org_id, hour, key_id, model, provider, app, member_id) do update set
        requests = h.requests + excluded.requests,
        failed = h.failed + excluded.failed,
        prompt_tokens = h.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = h.completion_tokens + excluded.completion_tokens,
        reasoning_tokens = h.reasoning_tokens + excluded.reasoning_tokens,
        cached_tokens = h.cached_tokens + excluded.cached_tokens,
        cost = h.cost + excluded.cost;
    return true;
exception when sqlstate 'FB001' then
    return false;
end $$;

-- Nothing asks for it, and every settlement paid for it.
drop index transfer_by_org;

-- How a settlement gets the log of the database onto the disk. Any user may, unless an administrator took it away.
do $$
begin
    perform pg_logical_emit_message(true, 'farebox', '');
exception when insufficient_privilege then
    raise exception 'the database user % may not call pg_logical_emit_message; run once as an administrator of the server: grant execute on function pg_logical_emit_message(boolean, text, text) to %', current_user, quote_ident(current_user);
end $$;
