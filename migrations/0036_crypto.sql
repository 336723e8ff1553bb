-- Payments whose payers send amounts themselves: in parts, too much, late, and more than once.

alter table topup
    -- The total that was asked for, where something else came in and was credited.
    add column asked_total numeric(24, 12),
    -- What was seen of a payment that is not credited yet, confirmed or not.
    add column seen        numeric(24, 12) not null default 0 constraint topup_seen check (seen >= 0),
    -- The purchase for which this came in as another payment, after that one was credited.
    add column more_of     uuid,
    add constraint topup_more_of foreign key (org_id, more_of) references topup (org_id, id);
create index topup_more on topup (org_id, more_of) where more_of is not null;
