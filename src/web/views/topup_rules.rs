//! What happens by itself when credits are low: auto top-up, and the alert.

use askama::Template;

use super::common::{Amount, Badge, Choice, Field, Pager, When};
use super::filters;
use super::shell::Shell;

/// `GET /credits/auto`
#[derive(Clone, Debug, Default, Template)]
#[template(path = "topups/auto.html")]
pub struct Auto {
    pub shell: Shell,
    pub state: Badge,
    /// Such as `When credits fall below $10.00, buy $50.00 with Visa ending in 4242.`; empty where nothing was set yet.
    pub sentence: String,
    /// Why the program switched it off; empty otherwise.
    pub stopped: String,
    pub is_on: bool,
    /// Why it cannot be switched on; empty where it can.
    pub missing: String,
    /// True where saving a payment method would help.
    pub may_save_method: bool,
    /// What was charged, and the caps; `None` where nothing was set yet.
    pub caps: Option<Caps>,
    /// Newest first.
    pub attempts: Vec<AttemptRow>,
    pub pager: Pager,
}

/// What auto top-up charged, fees included.
#[derive(Clone, Debug, Default)]
pub struct Caps {
    pub today: Amount,
    pub day: Amount,
    pub this_month: Amount,
    pub month: Amount,
}

#[derive(Clone, Debug, Default)]
pub struct AttemptRow {
    pub time: When,
    pub credits: Amount,
    pub method: String,
    pub state: Badge,
    /// Why it came to nothing, or what it waits for; empty otherwise.
    pub reason: String,
    /// The page of the payment, where there is one.
    pub href: Option<String>,
}

/// `GET /credits/auto/edit`, and `POST /credits/auto` with mistakes. Fields: `below`, `credits`, `method`, `cap_day`,
/// `cap_month`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "topups/auto_edit.html")]
pub struct AutoEdit {
    pub shell: Shell,
    pub below: Field,
    pub credits: Field,
    pub methods: Vec<Choice>,
    pub method_error: String,
    pub cap_day: Field,
    pub cap_month: Field,
    /// Such as `Between $5 and $25,000. A fee of 5.5%, at least $0.80, is added.`
    pub range: String,
    /// True when the balance is below the threshold that stands in the form, so that it would be topped up at once.
    pub at_once: bool,
    pub is_on: bool,
}

/// `GET /settings/balance`, and `POST` with mistakes. Fields: `enabled`, `below`, `owners`, `billing`, `more`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "topups/alert.html")]
pub struct Alert {
    pub shell: Shell,
    pub enabled: bool,
    pub below: Field,
    pub owners: bool,
    pub billing: bool,
    /// Addresses with commas between them.
    pub more: Field,
    /// True in an organization that can have billing members.
    pub is_team: bool,
    /// What is wrong with the readers as a whole; empty otherwise.
    pub readers_error: String,
    /// What the organization has now.
    pub balance: Amount,
    /// Such as `Lasts about 12 days at this pace`, or empty.
    pub lasts: String,
}
