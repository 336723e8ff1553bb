-- How many calls a key began in the running minute, for keys that have a limit on it. Unlogged: what a crash of the
-- database forgets is a minute's count.
create unlogged table key_pace (
    org_id uuid not null,
    key_id uuid not null,
    minute timestamptz not null default '-infinity',
    calls  integer not null default 0 constraint key_pace_calls check (calls >= 0),
    constraint key_pace_pkey primary key (org_id, key_id)
) with (fillfactor = 50);
select isolate('key_pace', 'org_id');
