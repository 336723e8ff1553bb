-- What a close checked and found of each rule, and the day's calls against their sums and against the transfers that they
-- were paid with. And people whom an operator has frozen.

create table book_check (
    day      date not null references book_close (day),
    number   smallint not null,
    rule     text not null,
    -- How many things were compared, and what those came to that have an amount.
    compared bigint not null,
    amount   numeric(24, 12) not null,
    findings integer not null,
    primary key (day, number)
);

create table book_usage (
    day         date primary key references book_close (day),
    -- Calls that began on the day and are kept, and what the sums per hour say of the same hours.
    calls       bigint not null,
    calls_cost  numeric(24, 12) not null,
    hours_calls bigint not null,
    hours_cost  numeric(24, 12) not null,
    -- By the sums per hour: of hours whose calls may be deleted.
    gone_calls  bigint not null,
    gone_cost   numeric(24, 12) not null,
    -- Usage transfers of the day, and the calls that they paid for, whenever those began.
    transfers   bigint not null,
    booked      numeric(24, 12) not null,
    paid_calls  bigint not null,
    paid_cost   numeric(24, 12) not null,
    -- Of the calls that began on the day, those that were paid for on it.
    same_day    numeric(24, 12) not null
);

do $$
declare
    name text;
begin
    foreach name in array array['book_check', 'book_usage'] loop
        execute format('create trigger append_only before update or delete on %I
            for each row execute function refuse_change()', name);
        execute format('create trigger no_truncate before truncate on %I
            for each statement execute function refuse_change()', name);
    end loop;
end $$;
revoke all on book_check, book_usage from farebox_tenant;

-- Who froze somebody, and since when. Nobody signs in as them, and no key that they made is taken.
alter table person
    add column frozen_at timestamptz,
    add column frozen_by uuid references person (id),
    add constraint person_frozen check ((frozen_at is null) = (frozen_by is null));

-- Every node forgets its keys within a second, as for an organization.
create function notify_person_frozen() returns trigger language plpgsql as $$
begin
    perform pg_notify('org_changed', '');
    return null;
end $$;
create trigger person_frozen after update of frozen_at on person for each row
    when (old.frozen_at is distinct from new.frozen_at) execute function notify_person_frozen();

-- Calls whose process died, counted by the hour in which they were swept, for whoever watches the instance. House-wide.
create table swept_hour (
    hour  timestamptz primary key constraint swept_hour_whole check (hour = date_trunc('hour', hour, 'UTC')),
    calls bigint not null
);
revoke all on swept_hour from farebox_tenant;
