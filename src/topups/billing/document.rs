//! What a receipt says, for its page and for its PDF.

use chrono::{DateTime, Utc};

use super::countries::country;
use super::seller::Seller;
use crate::base::Usd;
use crate::paper::{Block, Party, Row, Sheet};
use crate::topups::fees::method_name;
use crate::topups::store::RefundView;
use crate::topups::topup::{State, TopUp};

/// A receipt as it was written when the payment came in.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub number: i64,
    pub issued_at: DateTime<Utc>,
    pub seller: Seller,
    pub org_name: String,
    /// Who started the payment; empty where nobody did.
    pub payer: String,
    pub buyer_name: String,
    pub buyer_address: String,
    pub buyer_country: String,
    pub buyer_tax_id: String,
}

/// A line of a receipt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    pub what: String,
    /// With a minus sign when it went back.
    pub amount: Usd,
    pub is_sum: bool,
}

/// Everything that a receipt says, in the order in which it says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    /// `R-000123`
    pub number: String,
    pub issued_at: DateTime<Utc>,
    pub seller: Vec<String>,
    pub buyer: Vec<String>,
    pub facts: Vec<(String, String)>,
    pub items: Vec<Item>,
    pub note: String,
}

/// How people write the number of a receipt.
#[must_use]
pub fn receipt_number(number: i64) -> String {
    format!("R-{number:06}")
}

/// Moments on receipts are in one zone for everybody, so that a receipt is the same whoever opens it.
fn moment(at: DateTime<Utc>) -> String {
    at.format("%-d %b %Y, %H:%M UTC").to_string()
}

impl Receipt {
    fn buyer(&self) -> Vec<String> {
        let tax = if self.buyer_tax_id.is_empty() { String::new() } else { format!("Tax id {}", self.buyer_tax_id) };
        let name = if self.buyer_name.is_empty() { &self.org_name } else { &self.buyer_name };
        std::iter::once(name.as_str())
            .chain(self.buyer_address.lines())
            .chain([country(&self.buyer_country).unwrap_or_default(), tax.as_str()])
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The receipt of a payment, with what became of the money since.
    #[must_use]
    pub fn document(&self, topup: &TopUp, refunds: &[RefundView]) -> Document {
        let number = receipt_number(self.number);
        let mut facts = vec![
            ("Receipt".to_owned(), number.clone()),
            ("Paid on".to_owned(), moment(self.issued_at)),
            ("Paid with".to_owned(), method_name(&topup.method).to_owned()),
            ("Organization".to_owned(), self.org_name.clone()),
        ];
        if !self.payer.is_empty() {
            facts.push(("Paid by".to_owned(), self.payer.clone()));
        }
        facts.push(("Payment".to_owned(), topup.id.to_string()));
        facts.push(("State".to_owned(), state(topup).to_owned()));
        let sandbox = if topup.processor == "sandbox" { "Sandbox payment. No money moved. " } else { "" };
        Document {
            number,
            issued_at: self.issued_at,
            seller: self.seller.lines(),
            buyer: self.buyer(),
            facts,
            items: items(topup, refunds),
            note: format!("{sandbox}{}", topup.oddity()).trim_end().to_owned(),
        }
    }
}

fn state(topup: &TopUp) -> &'static str {
    match topup.state() {
        State::Disputed => "Disputed",
        State::Refunded => "Refunded",
        _ if topup.refunded.is_positive() => "Paid, refunded in part",
        _ => "Paid",
    }
}

fn items(topup: &TopUp, refunds: &[RefundView]) -> Vec<Item> {
    let line = |what: &str, amount: Usd| Item { what: what.to_owned(), amount, is_sum: false };
    let mut items = vec![line("Prepaid credits", topup.credits), line("Fee", topup.fee)];
    items.push(Item { what: "Total paid, in US dollars".to_owned(), amount: topup.total, is_sum: true });
    let paid = items.len();
    // They are listed newest first; a receipt tells what happened in order.
    for refund in refunds.iter().rev().filter(|refund| refund.state != "failed") {
        let end = if refund.state == "pending" { ", on its way" } else { "" };
        let what = format!("Refunded on {}{end}", refund.created_at.format("%-d %b %Y"));
        items.push(line(&what, -refund.amount));
    }
    if topup.disputed.is_positive() {
        items.push(line("Disputed by the payer", -topup.disputed));
    }
    if items.len() > paid {
        items.push(Item { what: "Left of the payment".to_owned(), amount: topup.kept(), is_sum: true });
    }
    items
}

impl Document {
    /// The same on paper.
    #[must_use]
    pub fn sheet(&self) -> Sheet {
        let party = |label: &str, lines: &[String]| Party { label: label.to_owned(), lines: lines.to_vec() };
        let rows = self.items.iter().map(|item| Row {
            what: item.what.clone(),
            how_much: item.amount.display(),
            is_sum: item.is_sum,
        });
        let mut blocks = vec![
            Block::Heading(format!("Receipt {}", self.number)),
            Block::Parties(vec![party("From", &self.seller), party("To", &self.buyer)]),
            Block::Facts(self.facts.clone()),
            Block::Table(rows.collect()),
        ];
        if !self.note.is_empty() {
            blocks.push(Block::Note(self.note.clone()));
        }
        Sheet { title: format!("Receipt {}", self.number), made_at: self.issued_at, blocks }
    }
}
