//! What lists of models can be asked.

use std::cmp::Reverse;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::{Ready, ready};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::models::Line;
use super::seen::Seen;
use crate::catalog::{Modality, Offer};
use crate::gateway::error::ApiError;
use crate::web::App;

/// Models in one answer, and left out before it.
pub const MAX_LIMIT: usize = 1_000;
pub const MAX_OFFSET: usize = 1_000_000;
/// Tokens; far more than any model takes.
pub const MAX_CONTEXT: u64 = 1_000_000_000;
const SECONDS_OF_A_DAY: i64 = 86_400;
/// Of an age; far more than any model has.
const MAX_DAYS: u32 = 100_000;
/// Filters of other routers by what nobody here knows of a model. To pass over them would list what was not asked for.
const UNTOLD: [&str; 12] = [
    "category",
    "distillable",
    "region",
    "use_rss",
    "min_intelligence_index",
    "max_intelligence_index",
    "min_coding_index",
    "max_coding_index",
    "min_agentic_index",
    "max_agentic_index",
    "min_tool_success_rate",
    "max_tool_success_rate",
];

/// What `GET /models` can be asked. Other names are passed over.
#[derive(Deserialize, Serialize, Clone, Default, Debug)]
#[serde(default)]
pub struct ModelQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supported_parameters: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_modalities: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_modalities: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_output_price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_age_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_authors: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub providers: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zdr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// Unix seconds, from which ages are counted.
    #[serde(skip)]
    pub now: i64,
    /// Where it was asked, and the next page is; empty for the list of all.
    #[serde(skip)]
    pub path: String,
}

/// The question of a request.
pub struct Wanted(pub ModelQuery);

impl FromRequest for Wanted {
    type Error = ApiError;
    type Future = Ready<Result<Wanted, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let now = request.app_data::<web::Data<App>>().map_or(0, |app| app.clock.now().timestamp());
        let query = wanted(request.query_string(), now);
        ready(query.map(|query| Wanted(ModelQuery { path: request.path().to_owned(), ..query })))
    }
}

fn wanted(text: &str, now: i64) -> Result<ModelQuery, ApiError> {
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let is_off = value.is_empty() || (name == "use_rss" && value == "false");
        if UNTOLD.contains(&name.as_ref()) && !is_off {
            return Err(ApiError::invalid(format!("Nothing is known here that `{name}` could choose models by.")));
        }
    }
    let query: Result<ModelQuery, _> = serde_urlencoded::from_str(text);
    let query = query.map_err(|_| ApiError::invalid("The query of the address could not be read."))?;
    Ok(ModelQuery { now, ..query })
}

/// The same, read and checked.
#[derive(Default, Debug)]
pub struct Filter {
    parameters: Vec<String>,
    inputs: Vec<String>,
    /// Empty: whatever they give.
    outputs: Vec<String>,
    text: String,
    sort: Option<SortBy>,
    context: u64,
    price: (Option<Decimal>, Option<Decimal>),
    output_price: (Option<Decimal>, Option<Decimal>),
    /// Unix seconds.
    created: (Option<i64>, Option<i64>),
    arch: String,
    authors: Vec<String>,
    providers: Vec<String>,
    zdr: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SortBy {
    Newest,
    Cheapest,
    Dearest,
    Context,
    Throughput,
    Latency,
}

/// Words separated by commas, in lower case.
fn words(list: Option<&str>) -> Vec<String> {
    let words = list.unwrap_or_default().split(',').map(|word| word.trim().to_lowercase());
    words.filter(|word| !word.is_empty()).collect()
}

/// Dollars per million tokens.
fn price(value: Option<f64>, name: &str) -> Result<Option<Decimal>, ApiError> {
    let Some(value) = value else { return Ok(None) };
    if !value.is_finite() || value < 0.0 {
        return Err(ApiError::invalid(format!("`{name}` is not a price in dollars per million tokens.")));
    }
    // Only compared with prices, never added to them; what is larger than any price is as good as the largest.
    Ok(Some(format!("{value:.9}").parse().unwrap_or(Decimal::MAX)))
}

impl ModelQuery {
    /// # Errors
    /// 400 for a number that makes no sense.
    pub fn filter(&self) -> Result<Filter, ApiError> {
        let fits = self.limit.is_none_or(|limit| (1..=MAX_LIMIT).contains(&limit))
            && self.offset.is_none_or(|offset| offset <= MAX_OFFSET);
        if !fits {
            return Err(ApiError::invalid(format!(
                "`limit` must be from 1 to {MAX_LIMIT}, `offset` at most {MAX_OFFSET}."
            )));
        }
        if self.context.is_some_and(|tokens| !(1..=MAX_CONTEXT).contains(&tokens)) {
            return Err(ApiError::invalid(format!("`context` must be from 1 to {MAX_CONTEXT}.")));
        }
        if [self.min_age_days, self.max_age_days].into_iter().flatten().any(|days| days > MAX_DAYS) {
            return Err(ApiError::invalid(format!("Ages in days must be at most {MAX_DAYS}.")));
        }
        let outputs = words(Some(self.output_modalities.as_deref().unwrap_or("text")));
        let sort = self.sort.as_deref().and_then(|word| match word {
            "newest" => Some(SortBy::Newest),
            "pricing-low-to-high" => Some(SortBy::Cheapest),
            "pricing-high-to-low" => Some(SortBy::Dearest),
            "context-high-to-low" => Some(SortBy::Context),
            "throughput-high-to-low" => Some(SortBy::Throughput),
            "latency-low-to-high" => Some(SortBy::Latency),
            // What is not measured here, such as popularity elsewhere, leaves the order as it is.
            _ => None,
        });
        Ok(Filter {
            parameters: words(self.supported_parameters.as_deref()),
            inputs: words(self.input_modalities.as_deref()),
            outputs: if outputs.iter().any(|word| word == "all") { Vec::new() } else { outputs },
            text: self.q.as_deref().unwrap_or_default().to_lowercase(),
            sort,
            context: self.context.unwrap_or(0),
            price: (price(self.min_price, "min_price")?, price(self.max_price, "max_price")?),
            output_price: (
                price(self.min_output_price, "min_output_price")?,
                price(self.max_output_price, "max_output_price")?,
            ),
            created: (self.max_age_days.map(|days| self.ago(days)), self.min_age_days.map(|days| self.ago(days))),
            arch: self.arch.as_deref().unwrap_or_default().to_lowercase(),
            authors: words(self.model_authors.as_deref()),
            providers: words(self.providers.as_deref()),
            zdr: self.zdr.as_deref() == Some("true"),
        })
    }

    fn ago(&self, days: u32) -> i64 {
        self.now - i64::from(days) * SECONDS_OF_A_DAY
    }

    /// Whether the order depends on what was measured.
    #[must_use]
    pub fn sorts_by_speed(&self) -> bool {
        matches!(self.sort.as_deref(), Some("throughput-high-to-low" | "latency-low-to-high"))
    }

    /// Whether nothing was asked for but the list.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        serde_urlencoded::to_string(self).is_ok_and(|text| text.is_empty())
    }
}

impl Filter {
    /// Whether a model is asked for.
    pub fn lets_through(&self, line: &Line) -> bool {
        let model = &line.listed().model;
        let has = |modalities: &[Modality], word: &String| modalities.iter().any(|one| one.as_str() == word);
        let serves = |offer: &Offer| {
            let provider = &offer.provider.provider;
            let named = |word: &String| provider.slug.as_str() == word || provider.name.to_lowercase() == *word;
            (self.providers.is_empty() || self.providers.iter().any(named)) && (!self.zdr || !provider.retains_logs)
        };
        let price = line.lead().map(|offer| offer.endpoint.price).unwrap_or_default();
        let (input, output) = (price.prompt.per_million(), price.completion.per_million());
        self.parameters.iter().all(|name| model.supported_parameters.iter().any(|one| one == name))
            && self.inputs.iter().all(|word| has(&model.input_modalities, word))
            && (self.outputs.is_empty() || self.outputs.iter().any(|word| has(&model.output_modalities, word)))
            && (self.text.is_empty() || line.searched().contains(&self.text))
            && u64::from(model.context_length) >= self.context
            && self.price.0.is_none_or(|least| input >= least)
            && self.price.1.is_none_or(|most| input <= most)
            && self.output_price.0.is_none_or(|least| output >= least)
            && self.output_price.1.is_none_or(|most| output <= most)
            && self.created.0.is_none_or(|first| model.created >= first)
            && self.created.1.is_none_or(|last| model.created <= last)
            && (self.arch.is_empty() || model.tokenizer.to_lowercase() == self.arch)
            && (self.authors.is_empty() || self.authors.iter().any(|author| author == model.slug.author()))
            && line.offers().any(serves)
    }

    /// Puts what was found into the order that was asked for; without one it stays as it is. Speed is that of the last day,
    /// as on the pages.
    pub fn sort(&self, found: &mut [&Line], seen: &Seen) {
        let price = |line: &&Line| {
            let price = line.lead().map(|offer| offer.endpoint.price).unwrap_or_default();
            price.prompt.amount() + price.completion.amount() + price.request.unwrap_or_default().amount()
        };
        let speeds = |line: &&Line| line.offers().map(|offer| seen.day(offer.id).speed()).collect::<Vec<_>>();
        match self.sort {
            None => {}
            Some(SortBy::Newest) => found.sort_by_key(|line| Reverse(line.listed().model.created)),
            Some(SortBy::Cheapest) => found.sort_by_key(price),
            Some(SortBy::Dearest) => found.sort_by_key(|line| Reverse(price(line))),
            Some(SortBy::Context) => found.sort_by_key(|line| Reverse(line.listed().model.context_length)),
            Some(SortBy::Throughput) => found.sort_by_cached_key(|line| {
                Reverse(speeds(line).iter().filter_map(|speed| speed.tokens_per_1000s).max())
            }),
            Some(SortBy::Latency) => found.sort_by_cached_key(|line| {
                speeds(line).iter().filter_map(|speed| speed.first_token_ms).min().unwrap_or(u64::MAX)
            }),
        }
    }
}
