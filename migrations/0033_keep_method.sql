-- Ways to pay that somebody keeps without buying: begun here, entered at the processor, asked for until it is known how
-- it ended.
create table method_setup (
    org_id        uuid not null references org (id),
    id            uuid not null,
    processor     text not null,
    method        text not null,
    state         text not null constraint method_setup_state check (state in ('open', 'kept', 'over')),
    -- How its owner recognizes what was kept.
    label         text not null default '',
    processor_ref text,
    checkout_url  text,
    created_by    uuid references person (id),
    created_at    timestamptz not null default now(),
    ask_at        timestamptz,
    primary key (org_id, id)
);
create unique index method_setup_by_ref on method_setup (processor, processor_ref);
create index method_setup_to_ask on method_setup (ask_at) where ask_at is not null;

select isolate('method_setup', 'org_id');
