-- Small pictures of people and organizations, made anew from what was uploaded. A new upload has a new id, so that
-- browsers may keep what they have.

create table picture (
    id         uuid primary key,
    owner_kind text not null constraint picture_owner_kind check (owner_kind in ('person', 'organization')),
    owner_id   uuid not null,
    png        bytea not null constraint picture_size check (octet_length(png) between 1 and 262144),
    created_at timestamptz not null default now(),
    constraint picture_one_per_owner unique (owner_kind, owner_id)
);
