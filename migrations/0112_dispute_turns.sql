-- A dispute may be decided anew after it had ended, and may end without ever having taken money.
alter table dispute
    -- How often its money has moved, as the processor tells it; of two answers the one with more is the newer.
    add column moves integer not null default 0,
    -- How often its money was taken: each time has its own transfers.
    add column turn integer not null default 1,
    drop constraint dispute_state,
    add constraint dispute_state check (state in ('inquiry', 'open', 'won', 'lost', 'closed'));
