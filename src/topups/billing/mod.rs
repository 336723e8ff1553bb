//! Who sells and who buys, and receipts.
//!
//! What is always true here:
//! - A receipt is written in the transaction that credits, with seller and buyer as they were then. It is never changed:
//!   neither by later settings, nor when an account is erased, because the law wants receipts kept.
//! - Page and PDF come from one [`Document`], so they say the same. Of what changes later they show only what became of
//!   the money.

mod countries;
mod details;
mod document;
mod issue;
mod seller;

pub mod pages;

pub use countries::{COUNTRIES, country};
pub use details::{Details, Problems};
pub use document::{Document, Item, Receipt, receipt_number};
pub use issue::{buyer_lines, forget, introduce, issue, save, seller_lines};
pub use seller::Seller;
