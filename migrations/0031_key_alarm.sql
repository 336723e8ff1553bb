-- A key that spent far more in an hour than it usually does; told once a day at most.
create table key_alarm (
    org_id     uuid not null,
    key_id     uuid not null,
    day        date not null,
    hour       timestamptz not null,
    spent      numeric(24, 12) not null,
    usual      numeric(24, 12) not null,
    -- Of the token in the mails, with which the key is stopped.
    digest     bytea not null constraint key_alarm_digest_unique unique,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at    timestamptz,
    constraint key_alarm_pkey primary key (org_id, key_id, day),
    constraint key_alarm_key foreign key (org_id, key_id) references api_key (org_id, id)
);
select isolate('key_alarm', 'org_id');
