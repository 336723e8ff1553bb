//! Models and their prices.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::base::Usd;
use crate::catalog::{Catalog, ListedModel, Modality, Offer, Price, ProviderKind, Shelf, UnitPrice};
use crate::integrations::{self, ProviderKey};
use crate::orgs::Member;
use crate::web::snippets::{Example, KEY_PLACEHOLDER};
use crate::web::views::catalog as views;
use crate::web::views::{Badge, Choice, Fact};
use crate::web::{App, PageError, html};

/// Longer than any name of a model.
const MAX_SEARCH: usize = 80;
const INPUTS: [Modality; 5] = [Modality::Text, Modality::Image, Modality::File, Modality::Audio, Modality::Video];
const SORTS: [(&str, &str); 5] = [
    ("newest", "Newest"),
    ("name", "Name"),
    ("price", "Input price"),
    ("output", "Output price"),
    ("context", "Longest context"),
];

#[derive(Deserialize)]
pub struct IndexQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    provider: String,
    #[serde(default)]
    modality: String,
    #[serde(default)]
    sort: String,
}

impl IndexQuery {
    fn lets_through(&self, search: &str, listed: &ListedModel) -> bool {
        let model = &listed.model;
        let found = search.is_empty()
            || [model.name.as_str(), model.slug.as_str()].iter().any(|text| text.to_lowercase().contains(search));
        let served = self.provider.is_empty()
            || listed.open_offers().any(|offer| offer.provider.provider.slug.as_str() == self.provider);
        let takes = self.modality.is_empty() || model.input_modalities.iter().any(|m| m.as_str() == self.modality);
        found && served && takes
    }

    /// The catalog's own order is by age.
    fn sort(&self, models: &mut [&Arc<ListedModel>]) {
        let price = |listed: &ListedModel, of: fn(&Offer) -> UnitPrice| listed.lead_offer().map(of);
        match self.sort.as_str() {
            "name" => models.sort_by_cached_key(|listed| listed.model.name.to_lowercase()),
            "price" => models.sort_by_key(|listed| price(listed, |offer| offer.endpoint.price.prompt)),
            "output" => models.sort_by_key(|listed| price(listed, |offer| offer.endpoint.price.completion)),
            "context" => models.sort_by_key(|listed| std::cmp::Reverse(listed.model.context_length)),
            _ => {}
        }
    }
}

/// `GET /models`: what can be called on the operator's account.
///
/// # Errors
/// When the page cannot be rendered.
pub async fn index(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: Member,
    query: web::Query<IndexQuery>,
) -> Result<HttpResponse, PageError> {
    let mut conn = member.tenant(&app).await?;
    let own = integrations::list(&mut conn, member.org_id()).await?;
    drop(conn);
    let catalog = shelf.current();
    let search: String = query.q.chars().filter(|c| !c.is_control()).take(MAX_SEARCH).collect();
    let wanted = search.trim().to_lowercase();
    let reached = |listed: &&Arc<ListedModel>| listed.is_open() || is_byok(listed, &own);
    let mut models: Vec<_> =
        catalog.models().iter().filter(reached).filter(|listed| query.lets_through(&wanted, listed)).collect();
    query.sort(&mut models);
    let all = catalog.models().iter().filter(reached).count();
    html(&views::Index {
        shell: member.shell("models", "Models", "What can be called here, and what it costs."),
        providers: provider_choices(&catalog, &query.provider),
        modalities: modality_choices(&query.modality),
        sorts: sort_choices(&query.sort),
        count: match models.len() {
            1 => "1 model.".to_owned(),
            count => format!("{count} models."),
        },
        empty_reason: if all == 0 {
            "No model can be called yet: the operator has to store the key of a provider first.".to_owned()
        } else {
            format!("None of the {all} models fits this search and these filters.")
        },
        models: models
            .into_iter()
            .map(|listed| views::ModelRow { byok: is_byok(listed, &own), ..row(listed) })
            .collect(),
        search: search.trim().to_owned(),
    })
}

/// Whether a key of the organization's own reaches a model.
fn is_byok(listed: &ListedModel, own: &[ProviderKey]) -> bool {
    let reaches = |offer: &Offer, key: &ProviderKey| {
        key.provider == offer.provider.provider.slug.as_str()
            && key.models.as_ref().is_none_or(|models| models.iter().any(|one| one == listed.model.slug.as_str()))
    };
    listed.offers.iter().any(|offer| own.iter().any(|key| reaches(offer, key)))
}

fn provider_choices(catalog: &Catalog, chosen: &str) -> Vec<Choice> {
    let open = catalog.providers().iter().filter(|listed| listed.is_open()).map(|listed| &listed.provider);
    let all = Choice::new("", "All providers", "", chosen.is_empty());
    std::iter::once(all)
        .chain(open.map(|one| Choice::new(one.slug.as_str(), &one.name, "", one.slug.as_str() == chosen)))
        .collect()
}

fn modality_choices(chosen: &str) -> Vec<Choice> {
    let all = Choice::new("", "Anything", "", chosen.is_empty());
    std::iter::once(all)
        .chain(INPUTS.map(|one| Choice::new(one.as_str(), &capitalized(one.as_str()), "", one.as_str() == chosen)))
        .collect()
}

fn sort_choices(chosen: &str) -> Vec<Choice> {
    SORTS.map(|(word, label)| Choice::new(word, label, "", word == chosen)).to_vec()
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn row(listed: &ListedModel) -> views::ModelRow {
    let model = &listed.model;
    let lead = listed.lead_offer().map(|offer| &offer.endpoint.price);
    let mut providers: Vec<&str> = listed.open_offers().map(|offer| offer.provider.provider.name.as_str()).collect();
    providers.dedup();
    views::ModelRow {
        href: format!("/models/{}", model.slug),
        name: model.name.clone(),
        id: model.slug.to_string(),
        input: lead.map(input_price).unwrap_or_default(),
        output: lead.map(|price| per_million(price.completion)).unwrap_or_default(),
        cached: lead.and_then(|price| price.cache_read).map(per_million),
        context: tokens(model.context_length),
        takes: words(&model.input_modalities),
        providers: providers.join(", "),
        sandbox: is_sandbox(listed),
        byok: false,
    }
}

fn is_sandbox(listed: &ListedModel) -> bool {
    !listed.offers.is_empty() && listed.offers.iter().all(|offer| offer.provider.provider.kind == ProviderKind::Sandbox)
}

/// Such as `$0.25`: at least cents, and every digit that there is.
fn per_million(price: UnitPrice) -> String {
    dollars(price.per_million())
}

/// With the price of a call beside it, where there is one: $0.00 alone would promise a free call.
fn input_price(price: &Price) -> String {
    let input = per_million(price.prompt);
    match price.request.filter(|request| !request.is_zero()) {
        Some(request) => format!("{input} + {} a call", dollars(request.amount())),
        None => input,
    }
}

/// An amount with at least cents, and every digit that there is.
pub(super) fn dollars(amount: Decimal) -> String {
    let amount = amount.normalize();
    if amount.scale() <= 2 { Usd::new(amount).display() } else { Usd::new(amount).display_exact() }
}

/// Such as `400K` or `1.05M`.
fn tokens(count: u32) -> String {
    let count = u64::from(count);
    match count {
        999_500.. => format!("{}M", hundredths((count + 5_000) / 10_000)),
        1_000.. => format!("{}K", (count + 500) / 1_000),
        _ => count.to_string(),
    }
}

fn hundredths(count: u64) -> String {
    let text = format!("{}.{:02}", count / 100, count % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn words(modalities: &[Modality]) -> String {
    modalities.iter().map(|modality| modality.as_str()).collect::<Vec<_>>().join(", ")
}

/// `GET /models/{author}/{name}`
///
/// # Errors
/// `NotFound` for a model that is not in use.
pub async fn show(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: Member,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let (author, name) = path.into_inner();
    let catalog = shelf.current();
    let listed = catalog.model(&format!("{author}/{name}")).ok_or(PageError::NotFound)?;
    let model = &listed.model;
    let (base_url, id) = (app.url("/api/v1"), model.slug.as_str());
    html(&views::Show {
        shell: member.shell("models", &model.name, &model.description),
        id: id.to_owned(),
        sandbox: is_sandbox(listed),
        figures: figures(listed),
        providers: listed.open_offers().map(provider_row).collect(),
        snippets: Example { base_url: &base_url, key: KEY_PLACEHOLDER, model: id }.languages(),
    })
}

fn figures(listed: &ListedModel) -> Vec<Fact> {
    let model = &listed.model;
    let mut figures = vec![
        ("Context", format!("{} tokens", tokens(model.context_length))),
        ("Longest answer", longest(model.max_output)),
        ("Takes", words(&model.input_modalities)),
        ("Gives", words(&model.output_modalities)),
    ];
    if let Some(day) = model.knowledge_cutoff {
        figures.push(("Knows up to", day.format("%b %Y").to_string()));
    }
    // A price that only some models have is told where it stands, so that no price is left out.
    let lead = listed.lead_offer().map(|offer| offer.endpoint.price).unwrap_or_default();
    for (label, price) in [("Per call", lead.request), ("Per image", lead.image)] {
        figures.extend(price.filter(|price| !price.is_zero()).map(|price| (label, dollars(price.amount()))));
    }
    if let Some(price) = lead.cache_write {
        figures.push(("Cache writes / 1M", per_million(price)));
    }
    figures.into_iter().map(|(label, value)| Fact { label: label.to_owned(), value, mono: false }).collect()
}

fn longest(count: Option<u32>) -> String {
    count.map_or_else(|| "not stated".to_owned(), |count| format!("{} tokens", tokens(count)))
}

fn provider_row(offer: &Offer) -> views::ProviderRow {
    let (endpoint, provider) = (&offer.endpoint, &offer.provider.provider);
    views::ProviderRow {
        name: provider.name.clone(),
        input: input_price(&endpoint.price),
        output: per_million(endpoint.price.completion),
        cached: endpoint.price.cache_read.map(per_million),
        context: tokens(endpoint.context_length),
        max_output: longest(endpoint.max_output),
        parameters: endpoint.supported_parameters.join(", "),
        state: Badge::new("good", "check", "Offered"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_show_every_digit_and_at_least_cents() {
        let shown = |text: &str| UnitPrice::parse_per_million(text).map(per_million).unwrap_or_default();
        assert_eq!(shown("3"), "$3.00");
        assert_eq!(shown("0.25"), "$0.25");
        assert_eq!(shown("0.075"), "$0.075");
        assert_eq!(shown("1.2345"), "$1.2345");
        assert_eq!(shown("0"), "$0.00");
        let flat = Price { request: UnitPrice::parse("0.01").ok(), ..Price::default() };
        assert_eq!(input_price(&flat), "$0.00 + $0.01 a call");
    }

    #[test]
    fn counts_of_tokens_are_short() {
        assert_eq!(
            ["800", "32000", "163840", "999999", "1048576"].map(|n| tokens(n.parse().unwrap_or(0))),
            ["800", "32K", "164K", "1M", "1.05M"]
        );
    }
}
