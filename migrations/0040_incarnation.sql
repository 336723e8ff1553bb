-- Which life of the database this is. Unlogged, so that a crash (or a switch to a standby) empties it and a clean stop
-- does not: whoever finds another id than before knows that commits which nobody flushed may be gone.
create unlogged table incarnation (
    only_one boolean primary key default true constraint incarnation_only_one check (only_one),
    id       uuid not null default gen_random_uuid()
);
