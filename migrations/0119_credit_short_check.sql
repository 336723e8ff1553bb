-- See 0118.
alter table credit
    drop constraint credit_held_not_negative,
    add constraint credit_held_not_negative check (held >= numeric '0');
