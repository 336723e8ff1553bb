-- How endpoints did in the last half hour, as all processes saw it: calls of a minute that have one thing in common.
-- House-wide: no row names an organization.
create table endpoint_minute (
    endpoint_id uuid not null,
    minute      timestamptz not null constraint endpoint_minute_whole check (minute = date_trunc('minute', minute, 'UTC')),
    what        text not null constraint endpoint_minute_what check (what in ('answered', 'failed', 'first_token', 'speed')),
    -- Of times and speeds: which step of a scale, eight of which double the number.
    step        smallint not null,
    calls       bigint not null,
    constraint endpoint_minute_pkey primary key (endpoint_id, minute, what, step)
) with (fillfactor = 70);
-- For a look at the last minutes of all endpoints, and for forgetting.
create index endpoint_minute_by_minute on endpoint_minute (minute);
