-- What providers charge the operator, as price lists tell it: for margins, never for what a call costs its caller.

create table price_list (
    id         uuid primary key,
    name       text not null,
    content    text not null,
    made_by    uuid references person (id),
    created_at timestamptz not null default now(),
    applied_at timestamptz
);

create table upstream_price (
    endpoint_id uuid not null references endpoint (id),
    version     integer not null constraint upstream_price_version check (version > 0),
    prompt      numeric(24, 12) not null,
    completion  numeric(24, 12) not null,
    cache_read  numeric(24, 12),
    cache_write numeric(24, 12),
    list_id     uuid references price_list (id),
    created_at  timestamptz not null default now(),
    primary key (endpoint_id, version)
);
create trigger append_only before update or delete on upstream_price for each row execute function refuse_change();
create trigger no_truncate before truncate on upstream_price for each statement execute function refuse_change();
revoke all on price_list, upstream_price from farebox_tenant;
