-- See 0118. Rows that are there have passed the same rules; the next file proves it without keeping anybody from writing.
alter table usage
    drop constraint usage_cost_not_negative,
    drop constraint usage_overrun_not_negative,
    drop constraint usage_upstream_cost,
    drop constraint usage_discount,
    drop constraint usage_byok_free,
    drop constraint usage_byok_rate,
    drop constraint usage_cost_has_transfer,
    drop constraint usage_status,
    drop constraint usage_counted_by,
    -- Nothing below zero, no more free than it cost at the provider, and no rate above the whole.
    add constraint usage_amounts check (
        least(cost, overrun, discount, byok_free, byok_rate) >= numeric '0'
        and byok_free <= upstream_cost and byok_rate <= numeric '1'
    ) not valid,
    add constraint usage_cost_has_transfer check ((cost > numeric '0') = (transfer_id is not null)) not valid,
    add constraint usage_status check (status = any ('{success,failed,rejected,abandoned}'::text[])) not valid,
    add constraint usage_counted_by check (counted_by = any ('{upstream,here,nobody}'::text[])) not valid;
