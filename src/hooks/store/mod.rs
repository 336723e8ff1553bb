//! Every query about addresses and what they are told.

mod deliveries;
mod hooks;
mod outbox;

pub use deliveries::{AttemptRow, DeliveryRow, attempts, deliveries, delivery, forget_old, hook_sums, put_back};
pub use hooks::{
    count, delete, disable, enable, erase, find, hold, insert, list, lock, replace_secret, update, wanting,
};
pub use outbox::{
    Claimed, claim, finish, insert_deliveries, insert_event, is_due, lock_claims, note_failing, note_working,
};
