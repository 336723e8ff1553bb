//! What was called, and what it cost.

use askama::Template;
use askama::filters::HtmlSafe;

use super::chart::Chart;
use super::common::{Amount, Badge, Chip, Choice, Fact, Field, Link, Pager, When};
use super::filters;
use super::shell::Shell;

/// `GET /activity`, with everything that it shows in its address.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "activity/index.html")]
pub struct Index {
    pub shell: Shell,
    /// False before the first call ever: the page then only says how to make one.
    pub any_calls: bool,
    pub periods: Vec<Link>,
    pub groups: Vec<Link>,
    /// What the filter form keeps of the address, and what the form of the time keeps.
    pub keep: Vec<(String, String)>,
    pub range_keep: Vec<(String, String)>,
    /// A stretch of time was chosen; its fields, and where they have hours too.
    pub custom: bool,
    pub chosen: Stretch,
    pub hours_href: String,
    /// Something typed cannot be read, so nothing was looked for: the fields say what.
    pub refused: bool,
    pub zones: Vec<Choice>,
    /// The span in words with its zone, such as `16 to 22 November 2026, UTC.`
    pub range: String,
    /// What it is compared with, in the same words.
    pub before: String,
    pub compare: bool,
    pub compare_href: String,
    pub updated: When,
    /// Spend, what own providers took where they did, tokens and requests, in this order.
    pub cards: Vec<ChartCard>,
    /// Which filters the charts do not follow, in a sentence; empty where they follow all. And where the sums are that do.
    pub apart: String,
    pub sums_href: String,
    /// False where there was no call in this time: figures then say so instead of zero.
    pub any_data: bool,
    pub filters: Filters,
    /// Columns that may be chosen, and the names of those that are.
    pub columns: Vec<Choice>,
    pub shown: Vec<String>,
    /// Filters that are on.
    pub chips: Vec<Chip>,
    pub clear_href: String,
    /// Newest first.
    pub calls: Vec<CallRow>,
    pub pager: Pager,
    /// Where the look for calls that fit ended before the page was full.
    pub searched: Option<String>,
    /// Where the page asks for new calls; `None` where none can come.
    pub live_href: Option<String>,
    /// The query of this page, to be saved.
    pub here: String,
    pub saved: Vec<SavedView>,
    pub csv_href: String,
    pub json_href: String,
    pub pdf_href: String,
    /// How long calls are kept.
    pub kept: String,
    pub may_keep: bool,
}

impl Index {
    fn has(&self, column: &str) -> bool {
        self.shown.iter().any(|shown| shown == column)
    }
}

/// The fields of a chosen time.
#[derive(Clone, Debug, Default)]
pub struct Stretch {
    pub from_label: String,
    pub to_label: String,
    pub from: Field,
    pub to: Field,
    /// What the browser makes of them: `date`, `datetime-local`, or `text` for what is neither.
    pub from_kind: &'static str,
    pub to_kind: &'static str,
}

/// The fields of the filters. The first choice of each list has an empty value and means all.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    pub models: Vec<Choice>,
    pub keys: Vec<Choice>,
    pub statuses: Vec<Choice>,
    pub finishes: Vec<Choice>,
    /// Whose account at the provider.
    pub accounts: Vec<Choice>,
    pub members: Vec<Choice>,
    pub providers: Vec<Choice>,
    pub apps: Vec<Choice>,
    pub asked: Field,
    pub min: Field,
    pub max: Field,
    pub id: Field,
    /// One of those that are seldom needed is on.
    pub more: bool,
}

/// A view that somebody saved.
#[derive(Clone, Debug, Default)]
pub struct SavedView {
    pub id: String,
    pub name: String,
    pub href: String,
    pub current: bool,
}

/// `GET /activity/new`: a piece of the page; empty where nothing is new.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "activity/new.html")]
pub struct Newer {
    pub text: String,
    pub href: String,
}

/// `GET /activity/sums`: what the calls that match come to, as a piece of the page.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "activity/sums.html")]
pub struct Sums {
    /// In a sentence.
    pub text: String,
    /// The parts of it.
    pub facts: Vec<Fact>,
    /// Why these are not the sums of all of it; empty where they are.
    pub partly: String,
}

impl HtmlSafe for Sums {}

/// The same as a page, for a browser without scripts.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "activity/sums_page.html")]
pub struct SumsPage {
    pub shell: Shell,
    pub sums: Sums,
    pub back_href: String,
}

/// `GET /settings/activity`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "activity/kept.html")]
pub struct Kept {
    pub shell: Shell,
    /// What holds now, in a sentence.
    pub now: String,
    pub choices: Vec<Choice>,
}

/// A card with its sum and its chart.
#[derive(Clone, Debug)]
pub struct ChartCard {
    pub title: String,
    pub total: Amount,
    /// A few words below the sum; may be empty.
    pub note: String,
    /// How it compares with the time before; may be empty.
    pub change: String,
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
    /// What its provider bills to an account of the organization's own; `None` on the operator's account.
    pub own: Option<Amount>,
    /// Such as `62 tok/s`, or empty.
    pub speed: String,
    pub status: Badge,
    /// These are empty where nothing was measured, counted or said.
    pub member: String,
    pub cached: String,
    pub first: String,
    pub duration: String,
    pub finish: String,
    pub id: String,
}

/// `GET /activity/{call_id}`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "activity/show.html")]
pub struct Show {
    pub shell: Shell,
    pub call: CallView,
}

/// The same for the drawer beside the list.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "activity/drawer.html")]
pub struct CallPart {
    pub title: String,
    pub href: String,
    pub call: CallView,
}

/// A call, explained.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "activity/call.html")]
pub struct CallView {
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
    /// The call again, for a shell, and what has to be known of it.
    pub curl: String,
    pub curl_note: String,
}

impl HtmlSafe for CallView {}

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
    /// The model that it was asked for; may be empty.
    pub model: String,
    pub ok: bool,
    /// What it answered, such as `429, slow down`.
    pub answer: String,
    /// Such as `312 ms`.
    pub took: String,
}
