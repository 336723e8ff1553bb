-- The same rules in fewer and shorter checks, here and in the next six files: one table in each, so that none waits for a table
-- while it keeps calls from another. Postgres reads the text of every check of a table, and of every condition of its triggers,
-- anew in each statement that writes there, and works out what is constant in it: a third of what a single call took
-- (docs/performance.md). So a rule that several columns have is one check, and a number or a list is a literal of its own type:
-- `0` and `array[...]` are calls that are made each time.

alter table meter
    drop constraint meter_held_not_negative,
    drop constraint meter_held_byok_not_negative,
    add constraint meter_held_not_negative check (least(held, held_byok) >= numeric '0'),
    drop constraint meter_kind,
    drop constraint meter_limit_total,
    drop constraint meter_limit_day,
    drop constraint meter_limit_week,
    drop constraint meter_limit_month;

create function refuse_meter() returns trigger language plpgsql as $$
begin
    raise exception using
        errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name, constraint = tg_name,
        message = 'the kind of a meter is key, provisioning or member, and none of its limits is below zero';
end $$;
revoke all on function refuse_meter() from public;

-- Nothing on the way of a call changes these, and a trigger for certain columns is not looked at by statements that change others.
-- As with any trigger, rows that are restored or replicated were looked at where they were written.
create trigger meter_kind_and_limits
    after insert or update of kind, limit_total, limit_day, limit_week, limit_month
    on meter for each row
    when (new.kind <> all ('{key,provisioning,member}'::text[])
        or least(new.limit_total, new.limit_day, new.limit_week, new.limit_month) < numeric '0')
    execute function refuse_meter();

drop trigger meter_marked on meter;
-- Compared with null it is null, so without limits nothing fires. A hold changes none of these columns and compares nothing.
create trigger meter_marked
    after update of limit_total, limit_day, limit_week, limit_month, include_byok, spent_total, spent_day, spent_week, spent_month,
        byok_total, byok_day, byok_week, byok_month
    on meter for each row
    when (new.spent_total + new.byok_total >= new.limit_total * 0.8
        or new.spent_day + new.byok_day >= new.limit_day * 0.8
        or new.spent_week + new.byok_week >= new.limit_week * 0.8
        or new.spent_month + new.byok_month >= new.limit_month * 0.8)
    execute function mark_limit();
