-- See 0118.
alter table hold
    drop constraint hold_amount_not_negative,
    drop constraint hold_byok_not_negative,
    add constraint hold_amount_not_negative check (least(amount, byok) >= numeric '0');
