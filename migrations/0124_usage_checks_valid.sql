-- Reads the calls once, without keeping anybody from writing.
alter table usage
    validate constraint usage_amounts,
    validate constraint usage_cost_has_transfer,
    validate constraint usage_status,
    validate constraint usage_counted_by;
