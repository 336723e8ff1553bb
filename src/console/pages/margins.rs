//! What a model at a provider earned: the days and the organizations behind a margin.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::books::READ;
use super::catalog::{DAYS, per_million};
use super::{address, page_with};
use crate::base::Usd;
use crate::base::ids::OrgId;
use crate::books;
use crate::console::extract::Staff;
use crate::console::margin::{self, Earned, Known, whole};
use crate::console::store::{self, UsedPart, UsedTokens};
use crate::orgs;
use crate::web::present::amount;
use crate::web::views::blocks::{Block, Cell, Column, Figure, Figures, Table};
use crate::web::{App, PageError};

const HERE: &str = "/admin/catalog/margin";
/// Organizations that are listed, those that paid most.
const LISTED: i64 = 50;

#[derive(Default, Deserialize)]
pub struct MarginQuery {
    #[serde(default)]
    model: String,
    #[serde(default)]
    provider: String,
}

/// Where the rows of a margin are.
#[must_use]
pub fn address_of(model: &str, provider: &str) -> String {
    address(HERE, &[("model", model), ("provider", provider)])
}

/// `GET /admin/catalog/margin?model=&provider=`
///
/// # Errors
/// Database errors only.
pub async fn show(
    app: web::Data<App>,
    staff: Staff,
    query: web::Query<MarginQuery>,
) -> Result<HttpResponse, PageError> {
    let now = app.clock.now();
    let first = now.date_naive().checked_sub_days(chrono::Days::new(DAYS - 1)).unwrap_or(now.date_naive());
    let (span, which) = ((books::start_of(first), now), (query.model.as_str(), query.provider.as_str()));
    let mut conn = app.db.begin_with(READ).await?;
    let known = margin::charged(&store::priced_endpoints(&mut conn).await?);
    let known = known.get(&(query.model.clone(), query.provider.clone()));
    let days = store::used_by_day(&mut conn, which, span).await?;
    let by_org = store::used_by_org(&mut conn, which, span, LISTED).await?;
    let ids: Vec<OrgId> = by_org.iter().map(|part| part.of).collect();
    let names = orgs::org_names(&mut conn, &ids).await?;
    let mut all = Earned::default();
    for day in &days {
        all.add(&day.used, known);
    }
    let mut blocks = vec![Block::Figures(figures(&all, known))];
    blocks.push(Block::Table(Table {
        id: "days",
        title: "Day by day".into(),
        note: "Days of UTC, from the sums per hour.".into(),
        rows: days.iter().map(|day| row(day, known, Cell::text(day.of.to_string()))).collect(),
        foot: foot(&days, &all, known),
        ..table("Day")
    }));
    blocks.push(Block::Table(Table {
        id: "orgs",
        title: "By organization".into(),
        note: format!("The {LISTED} that paid most."),
        rows: by_org
            .iter()
            .map(|part| {
                let name = names.get(&part.of).cloned().unwrap_or_else(|| part.of.to_string());
                row(part, known, Cell::link(name, format!("/admin/organizations/{}", part.of)))
            })
            .collect(),
        ..table("Organization")
    }));
    let about = format!("At {}, in the last {DAYS} days.", query.provider);
    let shell = staff.shell("catalog", &format!("Margin of {}", query.model), &about);
    page_with(shell, Some(("/admin/catalog", "Catalog and margin")), Vec::new(), blocks)
}

fn figures(all: &Earned, known: Option<&Known>) -> Figures {
    let unknown = |label: &str| Figure::count(label, "No data", "");
    let note = match known {
        None => "No price list says what this model costs there.".to_owned(),
        Some(Known { charged, is_partial }) => format!(
            "The provider charges {} a million tokens in, {} cached and {} out, by the price list.{}",
            per_million(Some(charged.prompt)),
            per_million(Some(charged.cache_read.unwrap_or(charged.prompt))),
            per_million(Some(charged.completion)),
            if *is_partial {
                " What calls, images, audio or cache writes cost is not known, so the margin is at most this."
            } else {
                ""
            }
        ),
    };
    Figures {
        id: "earned",
        figures: vec![
            Figure::amount("Customers paid", amount(all.paid), "").note("fees for calls on own keys included"),
            all.margin().map_or_else(
                || unknown("Providers charge"),
                |_| Figure::amount("Providers charge", amount(all.cost), ""),
            ),
            all.margin().map_or_else(|| unknown("Margin"), |margin| Figure::amount("Margin", amount(margin), "")),
        ],
        note,
        ..Figures::default()
    }
}

fn table(first: &'static str) -> Table {
    Table {
        columns: vec![
            Column::of(first),
            Column::right("Calls"),
            Column::right("Tokens in"),
            Column::right("Cached"),
            Column::right("Tokens out"),
            Column::right("Paid"),
            Column::right("Own keys"),
            Column::right("Charged"),
            Column::right("Margin"),
        ],
        empty: "No calls in this time".into(),
        ..Table::default()
    }
}

fn row<T>(part: &UsedPart<T>, known: Option<&Known>, name: Cell) -> Vec<Cell> {
    let mut earned = Earned::default();
    earned.add(&part.used, known);
    cells(name, &part.used, &earned, known)
}

fn cells(name: Cell, used: &UsedTokens, earned: &Earned, known: Option<&Known>) -> Vec<Cell> {
    let money = |sum: Usd| known.map_or_else(|| Cell::text("No data"), |_| Cell::amount(amount(sum)));
    vec![
        name,
        Cell::text(whole(used.requests)),
        Cell::text(whole(used.prompt_tokens)),
        Cell::text(whole(used.cached_tokens)),
        Cell::text(whole(used.completion_tokens)),
        Cell::amount(amount(used.cost)),
        Cell::amount(amount(used.aside)),
        money(earned.cost),
        money(earned.known - earned.cost),
    ]
}

fn foot<T>(days: &[UsedPart<T>], all: &Earned, known: Option<&Known>) -> Vec<Cell> {
    let sum = |of: fn(&UsedTokens) -> i64| days.iter().map(|day| of(&day.used)).sum();
    let money = |of: fn(&UsedTokens) -> Usd| days.iter().map(|day| of(&day.used)).sum();
    let used = UsedTokens {
        model: String::new(),
        provider: String::new(),
        requests: sum(|used| used.requests),
        prompt_tokens: sum(|used| used.prompt_tokens),
        completion_tokens: sum(|used| used.completion_tokens),
        cached_tokens: sum(|used| used.cached_tokens),
        cost: money(|used| used.cost),
        aside: money(|used| used.aside),
    };
    cells(Cell::text("Sum"), &used, all, known)
}
