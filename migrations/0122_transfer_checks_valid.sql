-- Reads the journal once, without keeping anybody from writing.
alter table transfer
    validate constraint transfer_code,
    validate constraint transfer_amount_positive;
