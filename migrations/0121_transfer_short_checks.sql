-- See 0118. Rows that are there have passed the same rules; the next file proves it without keeping anybody from writing.
alter table transfer
    drop constraint transfer_code,
    drop constraint transfer_amount_positive,
    add constraint transfer_code check (code = any (
        '{topup,topup_fee,grant,redeem,usage,refund,refund_failed,dispute,dispute_won,move,overrun,correction}'::text[]
    )) not valid,
    add constraint transfer_amount_positive check (amount > numeric '0') not valid;
