-- Webhooks: addresses of an organization that are told what happens, and the outbox of what they are told.

create table hook (
    org_id        uuid not null constraint hook_org references org (id),
    id            uuid not null,
    url           text not null,
    description   text not null,
    -- Null: all of them, those of later versions too.
    events        text[] constraint hook_events check (cardinality(events) between 1 and 50),
    -- The secret that signs, sealed with the organization's data key.
    data_key      uuid not null,
    nonce         bytea not null,
    ciphertext    bytea not null,
    -- The one before it, which signs too until a moment.
    old_nonce     bytea,
    old_ciphertext bytea,
    old_until     timestamptz,
    disabled_at   timestamptz,
    -- Why the program switched it off; empty where a person did.
    disabled_why  text not null default '',
    -- Since when every try failed.
    failing_since timestamptz,
    created_by    uuid constraint hook_created_by references person (id),
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    constraint hook_pkey primary key (org_id, id),
    constraint hook_old_whole check (num_nulls(old_nonce, old_ciphertext, old_until) in (0, 3))
);

-- What happened, word for word as it is sent: every try sends the same bytes under the same id.
create table hook_event (
    org_id     uuid not null,
    id         uuid not null,
    kind       text not null,
    -- What happened, unique for ever: telling it again writes nothing.
    reference  text not null,
    body       text not null,
    created_at timestamptz not null default now(),
    constraint hook_event_pkey primary key (org_id, id),
    constraint hook_event_once unique (org_id, reference)
);
create index hook_event_by_time on hook_event (created_at);

create table hook_delivery (
    org_id     uuid not null,
    id         uuid not null,
    hook_id    uuid not null,
    event_id   uuid not null,
    -- `held` waits for its address to be switched on again.
    state      text not null default 'pending'
        constraint hook_delivery_state check (state in ('pending', 'held', 'delivered', 'dead')),
    -- All of them, and those since it was last sent by hand.
    attempts   integer not null default 0,
    tries      integer not null default 0,
    next_at    timestamptz not null default now(),
    -- Who is sending it; whoever was killed meanwhile loses it at `next_at`.
    claim      uuid,
    last_at    timestamptz,
    last_status integer,
    last_error text not null default '',
    created_at timestamptz not null default now(),
    ended_at   timestamptz,
    constraint hook_delivery_pkey primary key (org_id, id),
    constraint hook_delivery_once unique (org_id, hook_id, event_id),
    constraint hook_delivery_hook foreign key (org_id, hook_id) references hook (org_id, id) on delete cascade,
    constraint hook_delivery_event foreign key (org_id, event_id) references hook_event (org_id, id) on delete cascade
);
create index hook_delivery_due on hook_delivery (next_at) where state = 'pending';
create index hook_delivery_due_of on hook_delivery (org_id, hook_id, next_at) where state = 'pending';
create index hook_delivery_claimed on hook_delivery (org_id, hook_id) where claim is not null;
create index hook_delivery_of on hook_delivery (org_id, hook_id, id);
create index hook_delivery_of_event on hook_delivery (org_id, event_id);

create table hook_attempt (
    org_id      uuid not null,
    delivery_id uuid not null,
    number      integer not null,
    at          timestamptz not null default now(),
    milliseconds integer not null,
    -- Null where nothing was answered.
    status      integer,
    error       text not null,
    -- The beginning of the answer.
    excerpt     text not null,
    constraint hook_attempt_pkey primary key (org_id, delivery_id, number),
    constraint hook_attempt_delivery foreign key (org_id, delivery_id)
        references hook_delivery (org_id, id) on delete cascade
);

select isolate('hook', 'org_id');
select isolate('hook_event', 'org_id');
select isolate('hook_delivery', 'org_id');
select isolate('hook_attempt', 'org_id');
