-- One row per metered call, and the sums per hour that pages and charts read.

create table usage (
    org_id            uuid not null,
    id                uuid not null,
    created_at        timestamptz not null,
    key_id            uuid not null,
    member_id         uuid,
    app               text not null default '',
    referer           text not null default '',
    user_agent        text not null default '',
    request_id        text not null default '',
    model_asked       text not null,
    model             text not null,
    provider          text not null,
    upstream_model    text not null default '',
    upstream_id       text not null default '',
    streamed          boolean not null,
    status            text not null
        constraint usage_status check (status in ('success', 'failed', 'rejected', 'abandoned')),
    cancelled         boolean not null default false,
    http_status       smallint not null,
    error             text not null default '',
    finish_reason     text not null default '',
    native_finish     text not null default '',
    prompt_tokens     bigint not null default 0,
    completion_tokens bigint not null default 0,
    cached_tokens     bigint not null default 0,
    cache_write_tokens bigint not null default 0,
    reasoning_tokens  bigint not null default 0,
    counted_by        text not null
        constraint usage_counted_by check (counted_by in ('upstream', 'here', 'nobody')),
    price_version     uuid,
    cost              numeric(24, 12) not null default 0 constraint usage_cost_not_negative check (cost >= 0),
    overrun           numeric(24, 12) not null default 0 constraint usage_overrun_not_negative check (overrun >= 0),
    hold              numeric(24, 12) not null default 0,
    transfer_id       uuid,
    -- The meters that the settlement charged beside the organization; the auditor adds them up again.
    meters            uuid[] not null default '{}',
    is_byok           boolean not null default false,
    first_token_ms    integer,
    duration_ms       integer not null default 0,
    attempts          jsonb not null default '[]',
    primary key (org_id, id),
    constraint usage_cost_has_transfer check ((cost > 0) = (transfer_id is not null))
);
create index usage_by_time on usage (org_id, created_at);
create index usage_by_key on usage (org_id, key_id, id desc);

-- Written by the transaction that writes the usage rows, so its sums are theirs at every moment.
create table usage_hour (
    org_id            uuid not null,
    hour              timestamptz not null
        constraint usage_hour_whole check (hour = date_trunc('hour', hour, 'UTC')),
    model             text not null,
    provider          text not null,
    key_id            uuid not null,
    -- The nil UUID where nobody in particular made the key.
    member_id         uuid not null,
    app               text not null,
    requests          bigint not null,
    -- Of the requests, those that did not end with status success.
    failed            bigint not null,
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    reasoning_tokens  bigint not null,
    cached_tokens     bigint not null,
    cost              numeric(24, 12) not null,
    primary key (org_id, hour, key_id, model, provider, app, member_id)
) with (fillfactor = 70);
