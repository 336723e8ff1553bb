-- A batch of settlements as in 0115, but what it refuses is an error: of this statement, which is a transaction of its own, so
-- nothing is left of it. Catching it took a transaction within the transaction, with a number of its own, for every batch
-- that is settled; few are refused.

create function settle_at_once(
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
        raise exception using errcode = 'FB001',
            message = 'a batch of calls is not as it was admitted, so they are settled one by one';
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
    select * from unnest(lines);
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
end $$;

-- For nodes of before, which take an error for a database that is away, and for the functions around it.
create or replace function settle_calls(
    lines usage_line[], ended integer, credits credit_change[], meters meter_change[], transfers transfer_line[],
    hours hour_line[]
) returns boolean language plpgsql as $$
begin
    return public.settle_at_once(lines, ended, credits, meters, transfers, hours);
exception when sqlstate 'FB001' or unique_violation then
    return false;
end $$;
