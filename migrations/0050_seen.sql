-- How endpoints did, summed up by the hour: every process adds what it saw, and all of them show the same. No row names
-- an organization, a person or a call.
create table endpoint_hour (
    endpoint_id    uuid not null,
    hour           timestamptz not null
        constraint endpoint_hour_whole check (hour = date_trunc('hour', hour, 'UTC')),
    answered       bigint not null,
    failed         bigint not null,
    -- Of the answers, those that came as a stream, and how long their first tokens took together.
    begun          bigint not null,
    first_token_ms bigint not null,
    -- What was written, and how long that took.
    tokens         bigint not null,
    writing_ms     bigint not null,
    constraint endpoint_hour_pkey primary key (endpoint_id, hour)
) with (fillfactor = 70);
-- For a look at the last day of all endpoints, and for forgetting.
create index endpoint_hour_by_hour on endpoint_hour (hour);
