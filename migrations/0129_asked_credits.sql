-- What the total that was asked for would have bought, beside `asked_total`: the rate of a purchase of which something else
-- came in, for what comes in later. Null for purchases of before, and of nodes of the version before.

alter table topup add column asked_credits numeric(24, 12);
