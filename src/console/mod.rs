//! The console of whoever runs the instance, under `/admin`: organizations and people, grants and corrections, payments,
//! the books, the catalog, mails and jobs.
//!
//! What is always true here:
//! - Operators change things, auditors read everything about money and change nothing; anybody else finds no such page.
//! - What changes something asks for a fresh sign-in, the form's token and a reason, is carried out once however often its
//!   form arrives ([`act`]), and stands in the log of the house, and in that of the organization that it concerns.
//! - Money moves by the ledger's verbs alone. A grant, a correction or a batch of codes above a configured amount, or by which
//!   its operator would come above it within a day, waits for a second operator. So does a new operator where there is another,
//!   so that nobody makes their own second: see [`crate::accounts::operator`].
//! - Whoever looks at an organization as its owner sees it can change nothing: requests that would are refused before any
//!   handler, and what is read is read in transactions that cannot write.
//! - It reads what other domains keep, and writes it by their verbs.

mod act;
mod adjust;
mod catalog_change;
mod confirmation;
mod margin;
mod price_list;
pub mod rules;
mod settings;
mod store;
mod waiting;
mod what_if;

pub mod extract;
pub mod pages;

pub use adjust::{AdjustError, Kind, NewAdjustment, Outcome, approve, make};
pub use settings::Settings;
