//! Every query about money in: purchases, messages of processors, what goes back, saved ways to pay, auto top-up and
//! the low-balance alert.

mod alerts;
mod auto;
mod billing;
mod codes;
mod events;
mod methods;
mod operate;
mod reconcile;
mod reversals;
mod setups;
mod topups;

pub use alerts::{alert, erase_alert, save_alert};
pub use auto::{
    AttemptRow, AutoCharged, attempted_method, attempts, auto_charged, give_up, given_up, has_open_auto,
    insert_attempt, is_charged_by_rule, lock_rule, next_day, note_failure, note_success, rule, save_rule,
    set_attempt_reason, stop_rule,
};
pub use billing::{
    billing_details, delete_billing_details, insert_receipt, insert_seller, receipt, seller, set_billing_details,
};
pub use codes::{
    CodeRow, Redemption, RedemptionView, batch, batches, count_code_failures, count_redemptions, count_use,
    drifted_codes, insert_batch, insert_code_failures, insert_redemption, lock_code, made_alone, redemption,
    redemptions, revoke_batch,
};
pub use events::{drop_events, has_event, insert_event, late_events, mark_applied, waiting_events};
pub use methods::{
    MethodRow, customer, customers, delete_customer, erase_methods, insert_method, payment_method, payment_methods,
    remove_method, set_customer, set_default_method,
};
pub use operate::{disputes, events, find_anywhere, list_anywhere, page_anywhere};
pub use reconcile::{
    Begun, RunTotals, begin_run, end_run, findings, insert_finding, last_runs, latest, reconciliation, renew_run, runs,
    to_compare,
};
pub use reversals::{
    DisputeRow, NewRefund, OpenRefund, RefundRow, RefundView, due_refunds, insert_dispute, insert_refund, lock_dispute,
    lock_refund, lock_refund_reference, refund_is_known, refund_row, refunds, set_dispute, set_moves, set_refund,
    taken,
};
pub use setups::{delete_setups, due_setups, end_setup, insert_setup, set_setup_checkout, setup, setup_by_ref};
pub use topups::{
    NewTopUp, due_topups, find, go_on_asking, insert, insert_more, list, lock, lock_more_of, lock_of_payment, more_of,
    note_payment, pending, set_amounts, set_checkout, set_fraud_warned, set_processor_fee, set_seen, set_state,
    set_taken_back,
};
