-- The daily close: what stood in the books at the end of each day, by UTC, and that it was checked. Written once.

create table book_close (
    day       date primary key,
    number    bigint not null constraint book_close_number_unique unique,
    closed_at timestamptz not null,
    -- Transfers of the day.
    transfers bigint not null,
    -- What the checks found, a line each; none is a clean close.
    findings  integer not null,
    report    text not null default '',
    -- Over the close before, this one, and every row below.
    digest    bytea not null,
    signature bytea not null
);

-- What each account of the chart got on its two sides since the beginning. The credits of all organizations are one.
create table book_total (
    day     date not null references book_close (day),
    account text not null,
    debits  numeric(24, 12) not null,
    credits numeric(24, 12) not null,
    primary key (day, account)
);

-- What moved between accounts of the chart on a day.
create table book_movement (
    day       date not null references book_close (day),
    code      text not null,
    debit     text not null,
    credit    text not null,
    amount    numeric(24, 12) not null,
    transfers bigint not null,
    primary key (day, code, debit, credit)
);

-- What moved on the credits of an organization on a day.
create table org_day (
    org_id    uuid not null,
    day       date not null references book_close (day),
    code      text not null,
    came_in   numeric(24, 12) not null,
    went_out  numeric(24, 12) not null,
    transfers bigint not null,
    primary key (org_id, day, code)
);
create index org_day_by_day on org_day (day);

-- What an organization had at the end of a day on which something moved.
create table org_close (
    org_id uuid not null,
    day    date not null references book_close (day),
    posted numeric(24, 12) not null,
    primary key (org_id, day)
);
create index org_close_by_day on org_close (day);

do $$
declare
    name text;
begin
    foreach name in array array['book_close', 'book_total', 'book_movement', 'org_day', 'org_close'] loop
        execute format('create trigger append_only before update or delete on %I
            for each row execute function refuse_change()', name);
        execute format('create trigger no_truncate before truncate on %I
            for each statement execute function refuse_change()', name);
    end loop;
end $$;

revoke all on book_total, book_movement from farebox_tenant;
revoke insert, update, delete on book_close from farebox_tenant;
select isolate('org_day', 'org_id');
select isolate('org_close', 'org_id');
