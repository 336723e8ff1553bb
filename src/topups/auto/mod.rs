//! Auto top-up: "when credits fall below $X, buy $Y with this payment method".
//!
//! What is always true here:
//! - One cause (a crossing of the balance, a change of the rule, the end of an earlier attempt, a new day, the end of a
//!   freeze) makes one attempt at most, and an organization has one open attempt at most, however many processes try.
//! - A charge is written down before the processor is asked and carries that number, so that asking again never charges
//!   again. What was not answered is asked for by the janitor; nothing is guessed.
//! - What is open or came in counts against the caps of its day and month. Money that goes back makes no room.
//! - Three declines in a row switch the rule off, and so does a payment that is contested or reported as fraud. Off is off: nothing new is charged after that commit.
//! - Rows are locked in the order of the ledger: a purchase, then the credit, then the rule, then the log.

mod attempt;
mod cause;
mod ended;
mod late;
mod limits;
mod rule;
mod save;
mod tell;

pub mod pages;

pub use attempt::{TryAutoTopup, attempt};
pub use cause::Cause;
pub use ended::{contested, ended, wants_payer};
pub use late::{abandon, charge_again, is_abandoned};
pub use limits::CONFIRM_WITHIN;
pub use rule::{Rule, RuleError, Wanted};
pub use save::{erase, opened, turn_off, turn_on};
pub use tell::TellOfAutoTopup;
