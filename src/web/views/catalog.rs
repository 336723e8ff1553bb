//! Models and their prices.

use askama::Template;

use super::common::{Badge, Choice, Fact, Snippets};
use super::filters;
use super::shell::Shell;

/// `GET /models?q=&provider=&modality=&sort=`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "catalog/index.html")]
pub struct Index {
    pub shell: Shell,
    pub search: String,
    /// The first choice of each has an empty value and means all.
    pub providers: Vec<Choice>,
    pub modalities: Vec<Choice>,
    pub sorts: Vec<Choice>,
    pub models: Vec<ModelRow>,
    /// Such as `62 models.`
    pub count: String,
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
    pub sandbox: bool,
    /// A key of the organization's own reaches it.
    pub byok: bool,
}

/// `GET /models/{author}/{slug}`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "catalog/show.html")]
pub struct Show {
    pub shell: Shell,
    pub id: String,
    pub sandbox: bool,
    /// Context, longest answer, what it takes and gives.
    pub figures: Vec<Fact>,
    pub providers: Vec<ProviderRow>,
    pub snippets: Snippets,
}

/// A provider that serves the model.
#[derive(Clone, Debug, Default)]
pub struct ProviderRow {
    pub name: String,
    pub input: String,
    pub output: String,
    pub cached: Option<String>,
    pub context: String,
    pub max_output: String,
    pub parameters: String,
    pub state: Badge,
}
