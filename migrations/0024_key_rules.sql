-- What a key may do besides spending, how it is replaced and handed on, and how all of them are stopped.

-- The pieces of three letters of a text, so that a list is searched by an index and without an extension.
create function pieces(said text) returns text[] language sql immutable strict parallel safe as $$
    select coalesce(array_agg(distinct substr(lower(said), at, 3)), '{}')
    from generate_series(1, length(lower(said)) - 2) as at
$$;

alter table api_key
    -- A key that waits for whoever claims it has no secret yet.
    alter column digest drop not null,
    -- The only models that it may call, networks that it may be used from, and calls that it may begin in one minute
    -- of the clock; null: any.
    add column allowed_models text[]
        constraint api_key_models check (cardinality(allowed_models) between 1 and 100),
    add column allowed_ips cidr[]
        constraint api_key_ips check (cardinality(allowed_ips) between 1 and 100),
    add column requests_per_minute integer
        constraint api_key_requests check (requests_per_minute between 1 and 100000),
    -- The preset that every call with it gets.
    add column preset text,
    -- What a provisioning key may do. An inference key calls and manages nothing.
    add column can_manage boolean not null default false,
    add column can_call boolean not null default true,
    -- The secret before the last rotation, and until when it still works.
    add column previous_digest bytea constraint api_key_previous_digest_unique unique,
    add column previous_until timestamptz,
    -- A name as lists are sorted and searched by it, and its pieces with those of the key's end.
    add column sort_name text not null generated always as (lower(name)) stored,
    add column pieces text[] not null generated always as (pieces(name || ' ' || right(label, 4))) stored,
    add constraint api_key_previous check ((previous_digest is null) = (previous_until is null));
update api_key set can_manage = true, can_call = false where kind = 'provisioning';

-- Without a list of what is pending, which every search would have to go through.
create index api_key_by_pieces on api_key using gin (pieces) with (fastupdate = off);
create index api_key_live on api_key (org_id, id) where deleted_at is null;
create index api_key_by_maker on api_key (org_id, created_by, id) where deleted_at is null;
create index api_key_by_name on api_key (org_id, sort_name, id) where deleted_at is null;
create index api_key_by_issuer on api_key (org_id, issued_by, id) where issued_by is not null;

-- The keys of the organization that is open in which all these pieces are. Row-level security would not let an index be
-- used for that question, so this function, which runs as the owner, keeps the wall itself.
create function key_ids_by_pieces(whose uuid, sought text[], most integer) returns setof uuid
    language sql stable security definer set search_path = pg_catalog, public as $$
    select k.id from api_key k
    where k.org_id = whose and k.deleted_at is null and k.pieces @> sought
        and whose = nullif(current_setting('farebox.org', true), '')::uuid
    limit most
$$;

-- A link with which one person gets one key. The key's secret is made when the link is used.
create table key_claim (
    org_id     uuid not null,
    key_id     uuid not null,
    -- Of the token in the newest link; the ones before it no longer work.
    digest     bytea not null constraint key_claim_digest_unique unique,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    claimed_at timestamptz,
    constraint key_claim_pkey primary key (org_id, key_id),
    constraint key_claim_key foreign key (org_id, key_id) references api_key (org_id, id)
);
select isolate('key_claim', 'org_id');

-- While this is set every key of the organization is refused, at the same place where a frozen one is. No key is
-- touched, so that undoing it brings back exactly what worked.
alter table org
    add column keys_stopped_at timestamptz,
    add column keys_stopped_by uuid constraint org_keys_stopped_by references person (id);

-- Nodes forget a key under every secret that it has or had.
create or replace function notify_key_changed() returns trigger language plpgsql as $$
declare
    secret bytea;
begin
    for secret in
        select distinct d from unnest(array[new.digest, new.previous_digest, old.digest, old.previous_digest]) as d
        where d is not null
    loop
        perform pg_notify('key_changed', encode(secret, 'hex'));
    end loop;
    return null;
end $$;
