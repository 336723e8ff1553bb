//! Every query about money in: purchases, messages of processors, what goes back, saved ways to pay, auto top-up and
//! the low-balance alert.

mod alerts;
mod auto;
mod events;
mod methods;
mod reversals;
mod topups;

pub use alerts::{alert, erase_alert, save_alert};
pub use auto::{
    AttemptRow, attempted_method, attempts, auto_charged, has_open_auto, insert_attempt, is_charged_by_rule, lock_rule,
    next_day, note_failure, note_success, rule, save_rule, set_attempt_reason, stop_rule,
};
pub use events::{insert_event, mark_applied, pending_event};
pub use methods::{
    MethodRow, customer, insert_method, payment_method, payment_methods, remove_method, set_customer,
    set_default_method,
};
pub use reversals::{
    DisputeRow, NewRefund, OpenRefund, RefundRow, RefundView, due_refunds, insert_dispute, insert_refund, lock_dispute,
    lock_refund, refund_row, refunds, set_dispute, set_refund,
};
pub use topups::{
    NewTopUp, due_topups, find, insert, list, lock, lock_of_payment, note_payment, now, set_amounts, set_checkout,
    set_fraud_warned, set_state, set_taken_back,
};
