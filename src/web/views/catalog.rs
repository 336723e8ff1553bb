//! Models and their prices.

use askama::Template;
use askama::filters::HtmlSafe;

use super::common::{Choice, Fact, Pager, Snippets};
use super::filters;
use super::shell::{PublicPage, Shell};

/// `GET /models?q=&provider=&modality=&price=&context=&sort=&page=&compare=`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "catalog/index.html")]
pub struct Index {
    pub shell: Shell,
    pub list: List,
}

/// Any of these pages for somebody who is not signed in.
#[derive(Clone, Debug, Template)]
#[template(path = "catalog/guest.html")]
pub struct Guest {
    pub page: PublicPage,
    pub description: String,
    /// The list that it came from; `None` on the list itself.
    pub back_href: Option<String>,
    /// Comes back to the same page.
    pub sign_in_href: String,
    pub body: Body,
}

/// What a page of models shows.
#[derive(Clone, Debug)]
pub enum Body {
    List(Box<List>),
    About(Box<About>),
    Comparison(Box<Comparison>),
}

impl HtmlSafe for List {}
impl HtmlSafe for About {}
impl HtmlSafe for Comparison {}

/// The models, and how to find some of them.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "catalog/_list.html")]
pub struct List {
    pub search: String,
    /// The first choice of each has an empty value and means all.
    pub providers: Vec<Choice>,
    pub modalities: Vec<Choice>,
    pub prices: Vec<Choice>,
    pub contexts: Vec<Choice>,
    pub sorts: Vec<Choice>,
    pub models: Vec<ModelRow>,
    /// Names of the models that are to be compared.
    pub compared: Vec<String>,
    /// Ids of those among them that this page of the list does not show.
    pub compared_elsewhere: Vec<String>,
    pub may_compare_more: bool,
    /// The same list with nothing to compare.
    pub clear_href: String,
    /// Such as `62 models.`
    pub count: String,
    pub pager: Pager,
    /// Why the list is empty.
    pub empty_reason: String,
}

/// A model in the list. Prices are US dollars per million tokens, such as `$0.25`.
#[derive(Clone, Debug, Default)]
pub struct ModelRow {
    pub href: String,
    pub name: String,
    /// Such as `openai/gpt-5-mini`.
    pub id: String,
    pub input: String,
    pub output: String,
    pub cached: Option<String>,
    /// Such as `400K`.
    pub context: String,
    /// Such as `text, image`.
    pub takes: String,
    pub providers: String,
    /// Such as `62 tok/s`, of its fastest provider in the last day; `None` where nothing was measured.
    pub speed: Option<String>,
    pub compared: bool,
    /// Whether calls of this organization get it that name none.
    pub default: bool,
    pub sandbox: bool,
    /// A key of the organization's own reaches it.
    pub byok: bool,
    /// The organization's settings let nobody answer it.
    pub barred: bool,
}

/// `GET /models/compare`
#[derive(Clone, Debug, Default, Template)]
#[template(path = "catalog/compare.html")]
pub struct Compare {
    pub shell: Shell,
    pub comparison: Comparison,
}

/// Models beside each other.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "catalog/_compare.html")]
pub struct Comparison {
    pub back_href: String,
    /// False with fewer than two models.
    pub enough: bool,
    /// Ids that no model has.
    pub unknown: Vec<String>,
    pub models: Vec<ComparedModel>,
    pub rows: Vec<CompareRow>,
}

#[derive(Clone, Debug, Default)]
pub struct ComparedModel {
    pub href: String,
    pub id: String,
    pub name: String,
    pub sandbox: bool,
    pub remove_href: String,
}

/// One fact of all of them.
#[derive(Clone, Debug, Default)]
pub struct CompareRow {
    pub label: String,
    /// True for figures, false for texts.
    pub figures: bool,
    pub cells: Vec<Cell>,
}

#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// Empty where there is nothing to say.
    pub text: String,
    pub best: bool,
}

/// `GET /models/{author}/{slug}`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "catalog/show.html")]
pub struct Show {
    pub shell: Shell,
    pub may_set_default: bool,
    pub may_chat: bool,
    pub about: About,
}

/// One model.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "catalog/_show.html")]
pub struct About {
    pub id: String,
    pub is_default: bool,
    /// The organization's settings let nobody answer it.
    pub barred: bool,
    pub sandbox: bool,
    /// Context, longest answer, what it takes and gives.
    pub figures: Vec<Fact>,
    /// Whether any provider was asked in the last thirty days.
    pub measured: bool,
    pub providers: Vec<ProviderRow>,
    /// Names, and who knows one where not everybody does.
    pub parameters: Vec<(String, String)>,
    pub snippets: Snippets,
}

/// A provider that serves the model. What was not measured is `None`.
#[derive(Clone, Debug, Default)]
pub struct ProviderRow {
    pub name: String,
    /// How it runs the model, and what it does with inputs.
    pub notes: Vec<String>,
    pub input: String,
    pub output: String,
    pub cached: Option<String>,
    pub context: String,
    pub max_output: String,
    pub speed: Option<String>,
    pub first_token: Option<String>,
    pub uptime: Option<String>,
    pub tries: String,
    pub uptime_month: Option<String>,
    pub tries_month: String,
}
