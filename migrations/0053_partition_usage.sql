-- The table of calls in parts, one a month, told apart by the id of the call: an id begins with the moment in which it was
-- made, so that an id alone leads to its part, and (org_id, id) stays what makes a call unique. Nothing that writes or reads
-- calls has to know.
--
-- A table that has rows is not copied and not scanned under a lock: it becomes the first part as it is. This file only says
-- up to where it reaches, the next one proves it while calls go on, the one after that puts the parts together.

-- The smallest id that a call of this moment can have.
create function call_floor(at timestamptz) returns uuid language sql immutable parallel safe as $$
    select (lpad(to_hex(greatest(0, floor(extract(epoch from at) * 1000))::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes `usage` a table of parts, with what it was until now as the first one, for every id before `bound`. The columns are
-- those that the table has, whatever other migrations gave it.
create function divide_usage(bound uuid) returns void language plpgsql as $$
declare
    found record;
begin
    drop index if exists usage_by_time;
    alter table usage rename to usage_before;
    for found in select indexname as name from pg_indexes where schemaname = 'public' and tablename = 'usage_before' loop
        execute format('alter index %I rename to %I', found.name, regexp_replace(found.name, '^usage', 'usage_before'));
    end loop;
    create table usage (like usage_before including all) partition by range (id);
    alter table usage drop constraint if exists usage_reaches;
    execute format('alter table usage attach partition usage_before for values from (minvalue) to (%L)', bound);
    alter table usage_before drop constraint if exists usage_reaches;
    create table usage_default partition of usage default;
    perform isolate('usage', 'org_id');
    perform isolate('usage_default', 'org_id');
end $$;

do $$
declare
    this_month timestamptz := date_trunc('month', now(), 'UTC');
begin
    lock table usage in access exclusive mode;
    if exists (select from usage) then
        -- Far enough ahead for the calls of an earlier version that runs meanwhile.
        execute format('alter table usage add constraint usage_reaches check (id < %L) not valid',
            call_floor(date_trunc('month', this_month + interval '45 days' + interval '1 month', 'UTC')));
    else
        perform divide_usage(call_floor(this_month));
    end if;
end $$;
