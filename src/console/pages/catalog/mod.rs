//! The catalog with its prices and margins, and its pages: models, endpoints, providers, prices.

use std::collections::HashSet;

use actix_web::{HttpResponse, web};
use chrono::{Days, Utc};

use super::page_with;
use crate::base::Usd;
use crate::books;
use crate::catalog::{self, CatalogFile, UnitPrice};
use crate::console::extract::Staff;
use crate::console::margin::{self, Earned, whole};
use crate::console::store::{self, PricedEndpoint, UsedTokens};
use crate::web::present::amount;
use crate::web::views::blocks::{ActionLink, Block, Cell, Column, Figure, Figures, Table};
use crate::web::{App, PageError};

mod change;
pub mod endpoints;
pub mod models;
pub mod price;
pub mod providers;

const HERE: &str = "/admin/catalog";
/// Days that margins and previews look back.
pub const DAYS: u64 = 30;

/// What was called in the last days, by model and provider.
pub async fn lately(app: &App) -> Result<Vec<UsedTokens>, sqlx::Error> {
    let now = app.clock.now();
    let first = now.date_naive().checked_sub_days(Days::new(DAYS - 1)).unwrap_or(now.date_naive());
    store::used_tokens(&mut *app.db.acquire().await?, books::start_of(first), now).await
}

pub fn per_million(price: Option<UnitPrice>) -> String {
    price.map_or_else(|| "unknown".to_owned(), |price| Usd::new(price.per_million()).display_exact())
}

/// `GET /admin/catalog`
///
/// # Errors
/// Database errors only.
pub async fn index(app: web::Data<App>, staff: Staff) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    let endpoints = store::priced_endpoints(&mut conn).await?;
    let now = catalog::export(&mut conn).await?;
    drop(conn);
    let used = lately(&app).await?;
    let known = margin::charged(&endpoints);
    let mut all = Earned::default();
    let mut margins = Vec::new();
    for one in &used {
        let charged = known.get(&(one.model.clone(), one.provider.clone()));
        all.add(one, charged);
        let mut earned = Earned::default();
        earned.add(one, charged);
        margins.push(margin_row(one, &earned));
    }
    let figures = Figures {
        id: "earned",
        figures: vec![
            Figure::amount("Customers paid", amount(all.paid), "/admin/books"),
            match all.margin() {
                Some(_) => Figure::amount("Providers charge", amount(all.cost), "#margins-title").note(all.coverage()),
                None => Figure::count("Providers charge", "No data", "").note("Import a price list first"),
            },
            match all.margin() {
                Some(margin) => Figure::amount("Margin", amount(margin), "#margins-title").note(if all.is_at_most() {
                    "at most"
                } else {
                    ""
                }),
                None => Figure::count("Margin", "No data", ""),
            },
        ],
        note: format!(
            "The last {DAYS} days, from the sums per hour. What providers charge is computed from price lists, \
                       not from their invoices."
        ),
        ..Figures::default()
    };
    let margins = Table {
        id: "margins",
        title: format!("Margin by model, {DAYS} days"),
        columns: vec![
            Column::of("Model"),
            Column::right("Calls"),
            Column::right("Tokens in"),
            Column::right("Tokens out"),
            Column::right("Paid"),
            Column::right("Margin"),
        ],
        rows: margins,
        empty: "No calls yet".into(),
        ..Table::default()
    };
    let switches = models::Switches::of(&now);
    let rows = endpoints.iter().map(|one| endpoint_row(one, &switches)).collect();
    let prices = Table {
        id: "prices",
        title: "Models and endpoints".into(),
        note: "In dollars per million tokens, in and out.".into(),
        columns: vec![
            Column::of("Model"),
            Column::of("Endpoint"),
            Column::of("State"),
            Column::right("Version"),
            Column::right("Price"),
            Column::right("Costs us"),
        ],
        rows,
        empty: "The catalog is empty".into(),
        ..Table::default()
    };
    let actions = if staff.is_operator() {
        vec![
            ActionLink::of("Import a price list", format!("{HERE}/lists"), "scroll-text"),
            ActionLink::primary("Add a model", format!("{HERE}/models/new"), "plus"),
        ]
    } else {
        vec![ActionLink::of("Price lists", format!("{HERE}/lists"), "scroll-text")]
    };
    let shell =
        staff.shell("catalog", "Catalog and margin", "What calls cost customers, and what they cost the house.");
    let mut blocks = vec![Block::Figures(figures), Block::Table(margins), Block::Table(providers::table(&now))];
    if let Some(nowhere) = nowhere(&now) {
        blocks.push(Block::Table(nowhere));
    }
    blocks.push(Block::Table(prices));
    page_with(shell, None, actions, blocks)
}

fn margin_row(used: &UsedTokens, earned: &Earned) -> Vec<Cell> {
    let share = match earned.margin() {
        Some(margin) if earned.known.is_positive() => {
            let percent = margin.amount() * rust_decimal::Decimal::ONE_HUNDRED / earned.known.amount();
            let at_most = if earned.is_at_most() { ", at most: only tokens are known" } else { "" };
            Cell::amount(amount(margin)).under(format!("{}%{at_most}", percent.round_dp(1)).replace('-', "\u{2212}"))
        }
        Some(margin) => Cell::amount(amount(margin)),
        None => Cell::text("No data"),
    };
    vec![
        model_cell(&used.model, &used.provider),
        Cell::text(whole(used.requests)),
        Cell::text(whole(used.prompt_tokens)),
        Cell::text(whole(used.completion_tokens)),
        Cell::amount(amount(earned.paid)),
        share,
    ]
}

/// A model and who served it, with where its margin is told day by day.
fn model_cell(model: &str, provider: &str) -> Cell {
    let cell = match model {
        // Calls that were refused before their model was known.
        "" => Cell::text("no model"),
        model => Cell::link(model, super::margins::address_of(model, provider)),
    };
    cell.under(provider)
}

/// Prices in and out.
fn both(input: Option<UnitPrice>, output: Option<UnitPrice>) -> String {
    match (input, output) {
        (None, None) => "unknown".to_owned(),
        (input, output) => format!("{} and {}", per_million(input), per_million(output)),
    }
}

/// Where the price of an endpoint is changed.
fn price_address(id: uuid::Uuid) -> String {
    format!("{}/price", change::endpoint_address(id))
}

fn endpoint_row(one: &PricedEndpoint, switches: &models::Switches<'_>) -> Vec<Cell> {
    let price = Cell::text(both(Some(one.prompt), Some(one.completion)));
    vec![
        Cell::link(one.model.as_str(), change::model_address(&one.model)),
        Cell::link(one.provider.as_str(), change::endpoint_address(one.id)).under(one.upstream_model.clone()),
        Cell::badge(switches.badge(one)),
        Cell::text(one.version.to_string()),
        price.to(price_address(one.id)),
        Cell::text(both(one.cost_prompt, one.cost_completion)),
    ]
}

/// Models without an endpoint, which the list of endpoints does not have.
fn nowhere(now: &CatalogFile) -> Option<Table> {
    let places: HashSet<_> = now.endpoints.iter().map(|endpoint| &endpoint.model).collect();
    let models = now.models.iter().filter(|one| !places.contains(&one.slug));
    let rows: Vec<Vec<Cell>> = models
        .map(|one| {
            vec![Cell::link(one.slug.as_str(), change::model_address(one.slug.as_str())).under(one.name.clone())]
        })
        .collect();
    let table = Table {
        id: "nowhere",
        title: "Models without an endpoint".into(),
        columns: vec![Column::of("Model")],
        ..Table::default()
    };
    (!rows.is_empty()).then_some(Table { rows, ..table })
}

pub fn note(tone: &'static str, icon: &'static str, text: String) -> Block {
    Block::Note(crate::web::views::blocks::Note { tone, icon, text, ..Default::default() })
}

/// A day of UTC, as lists of prices show it.
#[must_use]
pub fn day(at: chrono::DateTime<Utc>) -> String {
    at.format("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_without_a_model_lead_nowhere_and_have_a_name() {
        let (known, refused) = (model_cell("lab/one", "lab"), model_cell("", ""));
        assert_eq!((known.text.as_str(), known.href.is_empty()), ("lab/one", false));
        assert_eq!((refused.text.as_str(), refused.href.is_empty()), ("no model", true));
    }
}
