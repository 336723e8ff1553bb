-- Puts the parts together, in a moment: what the first one may hold is proven by its constraint.
do $$
declare
    bound text;
begin
    select substring(pg_get_constraintdef(oid) from '''([0-9a-f-]{36})''') into bound
    from pg_constraint where conrelid = 'public.usage'::regclass and conname = 'usage_reaches';
    if bound is not null then
        perform divide_usage(bound::uuid);
    end if;
end $$;

drop function divide_usage;

-- Makes the part of the month that begins at `start`, with what had to go to the default part meanwhile. False when it is
-- there, or belongs to an earlier part. The lock lets calls go on, and lets one process at a time do this.
create function make_usage_part(start timestamptz) returns boolean language plpgsql as $$
declare
    part  text := 'usage_' || to_char(start at time zone 'UTC', 'YYYYMM');
    since uuid := call_floor(start);
    until uuid := call_floor(date_trunc('month', start + interval '45 days', 'UTC'));
    first uuid;
begin
    perform pg_advisory_xact_lock(hashtext('make_usage_part'));
    select substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([0-9a-f-]{36})''\)')::uuid into first
    from pg_class c where c.oid = to_regclass('public.usage_before');
    if to_regclass('public.' || part) is not null or since < first then
        return false;
    end if;
    execute format('create table %I (like usage including all)', part);
    perform isolate(part::regclass, 'org_id');
    execute format('with moved as (delete from usage_default where id >= %L and id < %L returning *)
        insert into %I select * from moved', since, until, part);
    execute format('alter table usage attach partition %I for values from (%L) to (%L)', part, since, until);
    return true;
end $$;

-- Makes the parts of this month and of so many more, and of months whose calls went to the default part. Returns how many
-- were made.
create function make_usage_parts(ahead integer) returns integer language plpgsql as $$
declare
    made  integer := 0;
    start timestamptz;
begin
    for start in
        select date_trunc('month', now(), 'UTC') + make_interval(months => n) from generate_series(0, ahead) n
        union
        select date_trunc('month', to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0), 'UTC')
        from (select id from usage_default where id >= call_floor('2020-01-01 UTC') and id < call_floor(now() + interval '1 year')
            order by id limit 10000) strays
        order by 1
    loop
        if make_usage_part(start) then
            made := made + 1;
        end if;
    end loop;
    return made;
end $$;

-- Drops one part in which nothing is left and whose month ended before `ended`, so that there are never more parts than
-- months that somebody keeps. Returns its name; null when there is none.
create function drop_usage_part(ended timestamptz) returns text language plpgsql as $$
declare
    part  regclass;
    name  text;
    empty boolean;
begin
    for part in
        select i.inhrelid::regclass from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'public.usage'::regclass
            and substring(pg_get_expr(c.relpartbound, c.oid) from 'FROM \(''([0-9a-f-]{36})''\)') is not null
            and substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([0-9a-f-]{36})''\)')::uuid <= call_floor(ended)
        order by c.relname
    loop
        execute format('select not exists (select from %s)', part) into empty;
        continue when not empty;
        name := part::text;
        execute format('alter table usage detach partition %s', part);
        -- Nobody writes to it any more; what was written a moment ago is kept.
        execute format('select not exists (select from %s)', part) into empty;
        if not empty then
            raise exception 'a call was written into % at this moment', part;
        end if;
        execute format('drop table %s', part);
        return name;
    end loop;
    return null;
end $$;

select make_usage_parts(3);
