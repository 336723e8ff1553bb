//! Money in. A top-up is started, paid at a processor, and applied when the processor's word is checked.
//!
//! What is always true here:
//! - Coming back from the payment page credits nothing. Only an applied event does, after the payment
//!   was fetched from the processor again and its amount found to be ours.
//! - A message of a processor is stored before it is answered; however often and in whatever order
//!   messages arrive, one payment gives one credit.
//! - The form carries the top-up's id, so sending it twice buys once.
//! - No database transaction is open while a processor is asked.

mod apply;
mod book;
mod crossed;
mod customers;
mod fees;
mod inbox;
mod mails;
mod methods;
mod payment;
mod pending;
mod refund;
mod returned;
mod reversals;
mod start;
mod store;
mod told;
mod topup;
mod usual;
mod warned;

pub mod alerts;
pub mod auto;
pub mod billing;
pub mod codes;
pub mod janitor;
pub mod pages;
pub mod processors;
pub mod reconcile;
pub mod refunds;
pub mod saved;
pub mod webhook;

pub use apply::ApplyEvent;
pub use crossed::BalanceCrossed;
pub use customers::{ForgetCustomers, forget as forget_customers};
pub use fees::{FeeRule, Fees, METHODS, method_name};
pub use inbox::{Event, receive, tidy};
pub use payment::{Payment, RefundState};
pub use pending::pending;
pub use processors::sandbox::{Outcome, SettleSandboxPayment};
pub use refund::{By, RefundError, record_sent, refund, refund_once};
pub use store::{
    disputes, drifted_codes, events, find, find_anywhere, late_events, list, list_anywhere, more_of, page_anywhere,
    refunds,
};
pub use topup::{State, TopUp};
pub use usual::Usual;
pub use warned::RefundWarned;
