//! Credits: the balance, buying more, and payments.

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
    /// Ways to pay that may be charged again, the default one first.
    pub methods: Vec<MethodRow>,
    /// True where one can be kept without buying.
    pub may_keep: bool,
    /// What happens by itself with the balance.
    pub rules: Vec<RuleLine>,
    /// Codes that were redeemed, newest first.
    pub redeemed: Vec<RedeemedRow>,
}

/// A code that was redeemed.
#[derive(Clone, Debug, Default)]
pub struct RedeemedRow {
    pub time: When,
    pub amount: Amount,
    pub by: String,
}

/// Something that happens by itself, in one line.
#[derive(Clone, Debug, Default)]
pub struct RuleLine {
    pub title: String,
    pub state: Badge,
    pub text: String,
    pub href: String,
}

/// A saved way to pay.
#[derive(Clone, Debug, Default)]
pub struct MethodRow {
    pub id: String,
    /// Such as `Visa ending in 4242`.
    pub label: String,
    /// Such as `Expires 12/29`, or empty.
    pub note: String,
    pub is_default: bool,
}

/// Ways to pay of one family.
#[derive(Clone, Debug, Default)]
pub struct MethodGroup {
    /// Such as `Use crypto`; empty for those that are always shown.
    pub summary: String,
    pub methods: Vec<Choice>,
    /// True when the chosen one is among them.
    pub open: bool,
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
    /// Which version of the fees is shown.
    pub fees: String,
    pub amount: Field,
    /// What went wrong on the way to the payment page; empty for nothing.
    pub problem: String,
    pub groups: Vec<MethodGroup>,
    /// True when the chosen way to pay can be kept for auto top-up.
    pub may_save: bool,
    pub save: bool,
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
    /// What was seen of it and is not credited yet.
    pub seen: Option<Amount>,
    /// What came in for it after it was credited, oldest first.
    pub more: Vec<TopupRow>,
    /// The payment that this one came in later for.
    pub first_href: Option<String>,
    pub receipt_href: Option<String>,
    /// True when it failed or expired.
    pub retry: bool,
    /// Where unused credits can be returned, while they can.
    pub refund_href: Option<String>,
    /// What went back, newest first.
    pub refunds: Vec<RefundRow>,
    /// Such as `Auto top-up`; empty when a person paid.
    pub origin: String,
}

/// Money that goes or went back.
#[derive(Clone, Debug, Default)]
pub struct RefundRow {
    pub time: When,
    pub amount: Amount,
    pub state: Badge,
    /// Who wanted it, or why it failed.
    pub note: String,
}

/// `GET /credits/topups/{id}/refund`: what is returned, before it is.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "topups/refund.html")]
pub struct Refund {
    pub shell: Shell,
    pub id: String,
    pub amount: Amount,
    /// Credits and fee.
    pub paid: Amount,
    /// What does not go back, negative, each with its reason; with `paid` they add up to `amount`.
    pub less: Vec<(&'static str, Amount)>,
    pub method: String,
    /// Until when this is possible.
    pub until: When,
}

/// `GET /credits/methods/new`, and `POST /credits/methods` where that did not work. Fields: `id`, `method`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "topups/method_new.html")]
pub struct MethodNew {
    pub shell: Shell,
    /// A fresh id, so that sending the form twice begins once.
    pub id: String,
    pub methods: Vec<Choice>,
    /// What went wrong on the way to the processor; empty for nothing.
    pub problem: String,
}

/// `GET /credits/methods/keep/{id}`: where a person comes back to from entering a way to pay.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "topups/method_keep.html")]
pub struct MethodKeep {
    pub shell: Shell,
    /// This page's own address.
    pub href: String,
    pub state: Badge,
    pub headline: String,
    pub explanation: String,
    /// True while it is not known how it ended: the page asks again every two seconds.
    pub poll: bool,
    /// The processor's page, while it may be finished there.
    pub enter_href: Option<String>,
    /// True when it was kept.
    pub is_kept: bool,
}

/// `GET /credits/methods/{id}/remove`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "topups/method_remove.html")]
pub struct MethodRemove {
    pub shell: Shell,
    pub id: String,
    pub label: String,
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
