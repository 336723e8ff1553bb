//! Every query of the ledger, and the only code that writes money rows.

mod audit;
mod credits;
mod holds;
mod journal;
mod meters;
mod settlement;
mod transfers;
mod watches;

pub use audit::{
    audit_counts, drifted_byok_holds, drifted_credit_holds, drifted_credits, drifted_credits_since,
    drifted_meter_holds, foundations, keep_posted, orphan_transfers, overdue_holds, shift_posted, sum_of_all_accounts,
};
pub use credits::{CreditState, credit_state, insert_credit, lock_credit, move_credit};
pub use holds::{EndedHold, OVERDUE, count_holds, end_holds, expired_holds, hold_all, is_held, lock_books};
pub use journal::{
    Booked, DayMovement, JournalFilter, Movement, OrgMovement, credits_page, first_day, house_accounts, journal,
    movements, oldest_transaction, org_days, org_movements, transfer,
};
pub use meters::{insert_meter, meter_states, meters_near_limit, turn_back, update_limits};
pub use settlement::{ByokChange, Changes, CreditChange, MeterChange, TransferLine, apply};
pub use transfers::{Line, Moved, NewTransfer, insert_or_find_transfer, lines_of, moves, net_of};
pub use watches::{delete_watch, find_watch, upsert_watch};
