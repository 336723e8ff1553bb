//! Credits: the balance, buying more, payments and receipts.

use askama::Template;

use super::common::{Amount, Badge, Choice, Field, Pager, When};
use super::filters;
use super::shell::{PublicPage, Shell};

/// `GET /credits`, and `POST /credits/topups` with mistakes. `GET /credits?amount=&method=` shows the quote for those.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "topups/index.html")]
pub struct Index {
    pub shell: Shell,
    pub available: Amount,
    pub held: Amount,
    pub today: Amount,
    pub month: Amount,
    /// Such as `Lasts about 12 days at this pace`, or empty.
    pub lasts: String,
    pub form: TopupForm,
    /// Newest first.
    pub history: Vec<TopupRow>,
    pub pager: Pager,
    /// Credits that moved between this organization and another, newest first.
    pub moves: Vec<MoveRow>,
    /// True where credits of one's own organization can be moved to this one.
    pub may_move: bool,
}

/// Credits that moved.
#[derive(Clone, Debug, Default)]
pub struct MoveRow {
    pub time: When,
    /// `From` or `To` another organization.
    pub what: String,
    /// With a minus sign when they went out.
    pub amount: Amount,
}

/// The form to add credits. Fields: `id`, `amount`, `method`.
#[derive(Clone, Debug, Default)]
pub struct TopupForm {
    /// A fresh id, so that sending the form twice buys once.
    pub id: String,
    pub amount: Field,
    pub methods: Vec<Choice>,
    /// Such as `Between $5 and $5,000.`
    pub range: String,
    /// `None` while the amount is missing or wrong.
    pub quote: Option<Quote>,
    /// True where payments are the sandbox.
    pub sandbox: bool,
}

/// What an amount costs.
#[derive(Clone, Debug, Default)]
pub struct Quote {
    pub credits: Amount,
    pub fee: Amount,
    /// Such as `5.5%, at least $0.80`.
    pub fee_note: String,
    pub total: Amount,
    /// What the button does: `Buy $25.00 for $26.38`.
    pub button: String,
}

/// A payment in the history.
#[derive(Clone, Debug, Default)]
pub struct TopupRow {
    pub href: String,
    pub time: When,
    pub amount: Amount,
    pub fee: Amount,
    pub method: String,
    pub state: Badge,
    pub by: String,
    pub receipt_href: Option<String>,
}

/// `GET /credits/topups/{id}`: where a person comes back to from paying.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "topups/show.html")]
pub struct Show {
    pub shell: Shell,
    pub id: String,
    /// This page's own address.
    pub href: String,
    pub state: Badge,
    /// Such as `Waiting for the payment`.
    pub headline: String,
    /// What happened, what did not, what comes next.
    pub explanation: String,
    pub credits: Amount,
    pub fee: Amount,
    pub total: Amount,
    pub method: String,
    pub started: When,
    /// True while pending: the page asks again every two seconds.
    pub poll: bool,
    /// Where to pay, while that is possible.
    pub pay_href: Option<String>,
    pub receipt_href: Option<String>,
    /// True when it failed or expired.
    pub retry: bool,
}

/// `GET /sandbox/checkout/{id}`. Field: `outcome` of `paid`, `declined` or `delayed`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "topups/sandbox_checkout.html")]
pub struct SandboxCheckout {
    pub page: PublicPage,
    pub id: String,
    pub org_name: String,
    pub method: String,
    pub credits: Amount,
    pub fee: Amount,
    pub total: Amount,
}

/// A receipt, made for printing.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "topups/receipt.html")]
pub struct Receipt {
    pub shell: Shell,
    pub number: String,
    pub state: Badge,
    pub paid_at: When,
    pub org_name: String,
    pub payer: String,
    pub method: String,
    pub credits: Amount,
    pub fee: Amount,
    pub total: Amount,
    pub sandbox: bool,
}
