//! Two to four models beside each other.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use rust_decimal::Decimal;

use super::filter::Filter;
use super::viewer::{Opened, Viewer};
use super::words::{dollars, input_price, is_sandbox, longest, per_million, tokens, words};
use super::{Seen, fastest, shown_offers};
use crate::activity;
use crate::catalog::{ListedModel, Shelf};
use crate::presets::pages::preferences::Instance;
use crate::web::views::catalog as views;
use crate::web::{App, Fields, PageError, html};

const TITLE: &str = "Compare models";
const DESCRIPTION: &str = "Prices are the lowest of each model’s providers.";
/// Tokens of the call whose price is compared.
const EXAMPLE: (u32, u32) = (10_000, 1_000);

/// `GET /models/compare?compare=author/name&compare=author/name`
///
/// # Errors
/// Database errors only.
pub async fn show(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    instance: web::Data<Instance>,
    viewer: Viewer,
    request: HttpRequest,
    query: web::Query<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let (catalog, filter) = (shelf.current(), Filter::read(&Fields::from(query.into_inner())));
    let models: Vec<&Arc<ListedModel>> = filter.compared.iter().filter_map(|id| catalog.model(id)).collect();
    let Opened { mut tx, policy, .. } = viewer.open(&app, &instance).await?;
    let offers: Vec<_> = models.iter().flat_map(|listed| shown_offers(listed, &policy)).map(|offer| offer.id).collect();
    let day = activity::measured(&mut tx, app.clock.now() - activity::DAY, Some(&offers)).await?;
    drop(tx);
    let column = |of: &dyn Fn(&Arc<ListedModel>) -> String| -> Vec<views::Cell> {
        models.iter().map(|listed| cell(of(listed))).collect()
    };
    let price = |of: &dyn Fn(&crate::catalog::Price) -> String| {
        column(&|listed| listed.lead_offer().map(|offer| of(&offer.endpoint.price)).unwrap_or_default())
    };
    let seen = |of: fn(Seen) -> Option<String>| {
        column(&|listed| of(fastest(&shown_offers(listed, &policy), &day)).unwrap_or_default())
    };
    let names = |listed: &Arc<ListedModel>| {
        let mut names: Vec<&str> =
            shown_offers(listed, &policy).into_iter().map(|offer| offer.provider.provider.name.as_str()).collect();
        names.dedup();
        names.join(", ")
    };
    let rows = vec![
        row("Input / 1M tokens", true, price(&input_price)),
        row("Output / 1M tokens", true, price(&|price| per_million(price.completion))),
        row("Cached input / 1M", true, price(&|price| price.cache_read.map_or_else(|| "none".to_owned(), per_million))),
        row("10K tokens in, 1K out", true, examples(&models)),
        row("Context", true, column(&|listed| tokens(listed.model.context_length))),
        row("Longest answer", true, column(&|listed| longest(listed.model.max_output))),
        row("Speed, last 24 h", true, seen(|seen| seen.speed)),
        row("To first token, last 24 h", true, seen(|seen| seen.first_token)),
        row("Answered, last 24 h", true, seen(|seen| seen.uptime)),
        row("Takes", false, column(&|listed| words(&listed.model.input_modalities))),
        row("Gives", false, column(&|listed| words(&listed.model.output_modalities))),
        row("Providers", false, column(&names)),
        row("Parameters", false, column(&|listed| listed.model.supported_parameters.join(", "))),
    ];
    let comparison = views::Comparison {
        back_href: filter.address(0),
        enough: models.len() > 1,
        unknown: filter.compared.iter().filter(|id| catalog.model(id).is_none()).cloned().collect(),
        models: models
            .iter()
            .map(|listed| views::ComparedModel {
                href: format!("/models/{}", listed.model.slug),
                id: listed.model.slug.to_string(),
                name: listed.model.name.clone(),
                sandbox: is_sandbox(listed),
                remove_href: without(&filter, listed.model.slug.as_str()),
            })
            .collect(),
        rows,
    };
    let Some(member) = viewer.member() else {
        let (back, body) = (Some(comparison.back_href.clone()), views::Body::Comparison(Box::new(comparison)));
        return viewer.as_guest(&app, &request, (TITLE, DESCRIPTION), back, body);
    };
    html(&views::Compare { shell: member.shell("models", TITLE, DESCRIPTION), comparison })
}

/// The comparison without one of them.
fn without(filter: &Filter, id: &str) -> String {
    let rest = filter.compared.iter().filter(|one| *one != id).map(|one| ("compare", one));
    format!("/models/compare?{}", serde_urlencoded::to_string(rest.collect::<Vec<_>>()).unwrap_or_default())
}

fn row(label: &str, figures: bool, cells: Vec<views::Cell>) -> views::CompareRow {
    views::CompareRow { label: label.to_owned(), figures, cells }
}

fn cell(text: String) -> views::Cell {
    views::Cell { text, best: false }
}

/// What one call costs at each, and which is cheapest; none where all cost the same.
fn examples(models: &[&Arc<ListedModel>]) -> Vec<views::Cell> {
    let costs: Vec<Option<Decimal>> = models.iter().map(|listed| example(listed)).collect();
    let least = costs.iter().flatten().min().copied();
    let differ = costs.iter().flatten().any(|cost| Some(*cost) != least);
    costs
        .into_iter()
        .map(|cost| views::Cell {
            text: cost.map(dollars).unwrap_or_default(),
            best: differ && cost.is_some() && cost == least,
        })
        .collect()
}

fn example(listed: &ListedModel) -> Option<Decimal> {
    let price = listed.lead_offer()?.endpoint.price;
    let tokens =
        price.prompt.amount() * Decimal::from(EXAMPLE.0) + price.completion.amount() * Decimal::from(EXAMPLE.1);
    Some(tokens + price.request.unwrap_or_default().amount())
}
