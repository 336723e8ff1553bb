//! Billing details and receipts.

use askama::Template;

use super::common::{Amount, Badge, Choice, Fact, Field};
use super::filters;
use super::shell::Shell;

/// `GET /settings/billing`, and a wrong form. Fields: `name`, `address`, `country`, `tax_id`, `email`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "topups/billing.html")]
pub struct Details {
    pub shell: Shell,
    pub name: Field,
    /// Several lines.
    pub address: Field,
    pub countries: Vec<Choice>,
    pub country_error: String,
    pub tax_id: Field,
    pub email: Field,
}

/// A receipt, made for printing.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "topups/receipt.html")]
pub struct Receipt {
    pub shell: Shell,
    /// Such as `R-000123`.
    pub number: String,
    pub state: Badge,
    /// Names, addresses and tax ids, a line each.
    pub seller: Vec<String>,
    pub buyer: Vec<String>,
    pub facts: Vec<Fact>,
    pub items: Vec<Item>,
    /// Empty for none.
    pub note: String,
    /// `None` where the fonts of the PDF lack letters of this receipt.
    pub pdf_href: Option<String>,
}

/// A line of a receipt.
#[derive(Clone, Debug, Default)]
pub struct Item {
    pub what: String,
    pub amount: Amount,
    pub is_sum: bool,
}
