-- What the operators tell everybody, and who has read it.

create table announcement (
    id         uuid primary key,
    body       text not null constraint announcement_body check (body <> ''),
    tone       text not null constraint announcement_tone check (tone in ('info', 'warn')),
    made_by    uuid references person (id),
    created_at timestamptz not null default now(),
    until      timestamptz not null,
    ended_at   timestamptz
);
create index announcement_open on announcement (until) where ended_at is null;

create table announcement_read (
    announcement_id uuid not null references announcement (id) on delete cascade,
    person_id       uuid not null references person (id) on delete cascade,
    read_at         timestamptz not null default now(),
    primary key (announcement_id, person_id)
);
