-- What can be called and what it costs. House-wide: nothing here belongs to an organization.

create table provider (
    id uuid primary key,
    slug text not null constraint provider_slug_unique unique,
    name text not null check (name <> ''),
    kind text not null check (kind in ('openai', 'anthropic', 'sandbox')),
    base_url text,
    key_env text,
    privacy_url text,
    terms_url text,
    status_url text,
    headquarters text,
    cancel_stops_billing boolean not null,
    trains_on_inputs boolean not null,
    retains_logs boolean not null,
    enabled boolean not null,
    retired_at timestamptz,
    created_at timestamptz not null default now(),
    -- Only the built-in provider is reached without an address.
    constraint provider_has_address check ((kind = 'sandbox') = (base_url is null))
);

-- The upstream's own key, sealed by the operator's master key. key_id names the master key that sealed it.
create table provider_secret (
    provider_id uuid primary key references provider (id),
    key_id text not null,
    nonce bytea not null,
    ciphertext bytea not null,
    created_at timestamptz not null default now()
);

create table model (
    id uuid primary key,
    slug text not null constraint model_slug_unique unique,
    aliases text[] not null,
    name text not null check (name <> ''),
    -- Never null or empty: clients drop a model without one, some drop the whole list.
    description text not null check (description <> ''),
    -- Unix seconds, the form in which every client reads it.
    created bigint not null check (created > 0),
    context_length integer not null check (context_length > 0),
    max_output integer check (max_output > 0),
    input_modalities text[] not null check (cardinality(input_modalities) > 0),
    output_modalities text[] not null check (cardinality(output_modalities) > 0),
    tokenizer text not null,
    supported_parameters text[] not null,
    knowledge_cutoff date,
    enabled boolean not null,
    retired_at timestamptz,
    created_at timestamptz not null default now()
);

create table endpoint (
    id uuid primary key,
    model_id uuid not null references model (id),
    provider_id uuid not null references provider (id),
    upstream_model text not null check (upstream_model <> ''),
    context_length integer not null check (context_length > 0),
    max_output integer check (max_output > 0),
    quantization text,
    supported_parameters text[] not null,
    enabled boolean not null,
    retired_at timestamptz,
    created_at timestamptz not null default now(),
    constraint endpoint_unique unique (model_id, provider_id, upstream_model)
);

create index endpoint_provider on endpoint (provider_id);

-- US dollars: per token, and per call (request) or per image. The highest version of an endpoint is its current price.
-- The upper limit of 100 dollars a unit keeps every product of a price and a quantity exact.
create table price_version (
    id uuid primary key,
    endpoint_id uuid not null references endpoint (id),
    version integer not null check (version > 0),
    prompt numeric(24, 12) not null check (prompt between 0 and 100),
    completion numeric(24, 12) not null check (completion between 0 and 100),
    cache_read numeric(24, 12) check (cache_read between 0 and 100),
    cache_write numeric(24, 12) check (cache_write between 0 and 100),
    request numeric(24, 12) check (request between 0 and 100),
    image numeric(24, 12) check (image between 0 and 100),
    created_at timestamptz not null default now(),
    constraint price_version_unique unique (endpoint_id, version)
);

-- Usage rows name the version that they were billed by, so a version may never change or go away.
create function catalog_price_is_final() returns trigger language plpgsql as $$
begin
    raise exception 'a price is never edited: insert a new version';
end
$$;

create trigger price_version_is_final before update or delete on price_version
    for each row execute function catalog_price_is_final();
create trigger price_version_is_not_emptied before truncate on price_version
    for each statement execute function catalog_price_is_final();

-- Every process reloads its copy. Equal notices of one transaction are delivered once.
create function catalog_notify() returns trigger language plpgsql as $$
begin
    perform pg_notify('catalog_changed', '');
    return null;
end
$$;

create trigger provider_notify after insert or update or delete on provider
    for each statement execute function catalog_notify();
create trigger provider_secret_notify after insert or update or delete on provider_secret
    for each statement execute function catalog_notify();
create trigger model_notify after insert or update or delete on model
    for each statement execute function catalog_notify();
create trigger endpoint_notify after insert or update or delete on endpoint
    for each statement execute function catalog_notify();
create trigger price_version_notify after insert on price_version
    for each statement execute function catalog_notify();
