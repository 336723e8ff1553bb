-- What was told once: a limit that came near or was reached, in each of its windows, and the week of a summary.

create table limit_told (
    org_id   uuid not null,
    meter_id uuid not null,
    -- `total`, `day`, `week` or `month`.
    span     text not null,
    -- The first day of the window; of a limit without one, the day on which the meter began.
    since    date not null,
    percent  integer not null constraint limit_told_percent check (percent in (80, 100)),
    -- The limit of then: another one is told of anew.
    amount   numeric(24, 12) not null,
    told_at  timestamptz not null default now(),
    constraint limit_told_pkey primary key (org_id, meter_id, span, since, percent, amount)
);
create index limit_told_by_time on limit_told (told_at);

create table week_told (
    org_id  uuid not null,
    -- Its Monday.
    week    date not null,
    told_at timestamptz not null default now(),
    constraint week_told_pkey primary key (org_id, week)
);

select isolate('limit_told', 'org_id');
select isolate('week_told', 'org_id');
