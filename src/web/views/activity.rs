//! What was called, and what it cost.

use askama::Template;

use super::chart::Chart;
use super::common::{Amount, Badge, Chip, Choice, Fact, Link, Pager, When};
use super::filters;
use super::shell::Shell;

/// `GET /activity?period=&group=&model=&key=&status=&before=`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "activity/index.html")]
pub struct Index {
    pub shell: Shell,
    /// False before the first call ever: the page then only says how to make one.
    pub any_calls: bool,
    pub periods: Vec<Link>,
    pub groups: Vec<Link>,
    /// The chosen values, kept by the filter form.
    pub period: String,
    pub group: String,
    /// The span in words with its zone, such as `16 to 22 November 2026, UTC.`
    pub range: String,
    pub updated: When,
    /// Spend, tokens and requests, in this order.
    pub cards: Vec<ChartCard>,
    /// Filters: the first choice of each has an empty value and means all.
    pub models: Vec<Choice>,
    pub keys: Vec<Choice>,
    pub statuses: Vec<Choice>,
    /// Filters that are on.
    pub chips: Vec<Chip>,
    pub clear_href: String,
    /// Newest first.
    pub calls: Vec<CallRow>,
    pub pager: Pager,
}

/// A card with its sum and its chart.
#[derive(Clone, Debug)]
pub struct ChartCard {
    pub title: String,
    pub total: Amount,
    /// A few words below the sum; may be empty.
    pub note: String,
    pub chart: Chart,
}

/// A call in a list.
#[derive(Clone, Debug, Default)]
pub struct CallRow {
    pub href: String,
    pub time: When,
    pub model: String,
    pub provider: String,
    pub app: String,
    pub key: String,
    /// Both are empty where nobody counted.
    pub tokens_in: String,
    pub tokens_out: String,
    /// Such as `1,024 cached, 300 reasoning`; may be empty.
    pub tokens_note: String,
    pub cost: Amount,
    /// Such as `62 tok/s`, or empty.
    pub speed: String,
    pub status: Badge,
}

/// `GET /activity/{call_id}`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "activity/show.html")]
pub struct Show {
    pub shell: Shell,
    pub status: Badge,
    /// A sentence that needs saying, such as why nothing was charged; may be empty.
    pub note: String,
    pub cost: Amount,
    /// Empty when nothing was charged.
    pub cost_lines: Vec<CostLine>,
    /// Which price this was, such as `Prices of 12 November 2026, version 3.`
    pub price_note: String,
    pub held: Amount,
    /// `Returned`, or `Still held` while it runs.
    pub returned_label: String,
    pub returned: Amount,
    /// In the order they were tried.
    pub attempts: Vec<Attempt>,
    /// Model asked and served, app, finish and so on.
    pub facts: Vec<Fact>,
    pub key: String,
    pub key_href: Option<String>,
    pub time: When,
    pub timings: Vec<Fact>,
    pub request_id: String,
    /// What was sent and what came back, for whoever may see it, where it is stored.
    pub texts: Option<Texts>,
}

/// The texts of a call.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    pub request: String,
    /// Such as `The first 256 KB of 1,204 KB.`; empty where nothing was cut off.
    pub request_note: String,
    pub response: String,
    pub response_note: String,
    /// Such as `Deleted on 22 December 2026.`
    pub until: String,
    /// Why they cannot be shown; empty where they can.
    pub problem: String,
}

/// One line of what a call cost.
#[derive(Clone, Debug, Default)]
pub struct CostLine {
    /// Such as `Input tokens`.
    pub what: String,
    pub quantity: String,
    /// Such as `$0.25 / 1M`.
    pub price: String,
    /// Exact.
    pub amount: String,
}

/// A provider that was tried.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    pub provider: String,
    pub ok: bool,
    /// What it answered, such as `429, slow down`.
    pub answer: String,
    /// Such as `312 ms`.
    pub took: String,
}
