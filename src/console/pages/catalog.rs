//! The catalog with its prices and margins, and a change of one price.

use actix_web::{HttpResponse, web};
use chrono::{Days, Utc};
use serde::Deserialize;
use serde_json::json;

use super::orgs::ReasonForm;
use super::{address, again, done, form, page_with, reason_field};
use crate::audit::{Action, Target};
use crate::base::Usd;
use crate::books;
use crate::catalog::{self, CatalogFile, Missing, UnitPrice};
use crate::console::act;
use crate::console::extract::{Acting, Staff};
use crate::console::margin::{self, Charged, Earned, whole};
use crate::console::store::{self, PricedEndpoint, UsedTokens};
use crate::console::what_if::{self, Compared};
use crate::web::present::amount;
use crate::web::views::blocks::{ActionLink, Block, Cell, Column, Figure, Figures, Input, Table};
use crate::web::{App, PageError, Protected};

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
    let endpoints = store::priced_endpoints(&mut *app.db.acquire().await?).await?;
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
    let rows = endpoints.iter().map(endpoint_row).collect();
    let prices = Table {
        id: "prices",
        title: "Prices".into(),
        note: "In dollars per million tokens, in and out.".into(),
        columns: vec![
            Column::of("Model"),
            Column::of("Provider"),
            Column::right("Version"),
            Column::right("Price"),
            Column::right("Costs us"),
        ],
        rows,
        empty: "The catalog is empty".into(),
        ..Table::default()
    };
    let actions = if staff.is_operator() {
        vec![ActionLink::primary("Import a price list", format!("{HERE}/lists"), "plus")]
    } else {
        vec![ActionLink::of("Price lists", format!("{HERE}/lists"), "scroll-text")]
    };
    let shell =
        staff.shell("catalog", "Catalog and margin", "What calls cost customers, and what they cost the house.");
    page_with(shell, None, actions, vec![Block::Figures(figures), Block::Table(margins), Block::Table(prices)])
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
        Cell::link(used.model.as_str(), super::margins::address_of(&used.model, &used.provider))
            .under(used.provider.clone()),
        Cell::text(whole(used.requests)),
        Cell::text(whole(used.prompt_tokens)),
        Cell::text(whole(used.completion_tokens)),
        Cell::amount(amount(earned.paid)),
        share,
    ]
}

fn endpoint_row(one: &PricedEndpoint) -> Vec<Cell> {
    let both = |a: Option<UnitPrice>, b: Option<UnitPrice>| match (a, b) {
        (None, None) => "unknown".to_owned(),
        (a, b) => format!("{} and {}", per_million(a), per_million(b)),
    };
    let model = Cell::link(one.model.as_str(), address(&format!("{HERE}/price"), &[("endpoint", &one.id.to_string())]));
    vec![
        model,
        Cell::text(one.provider.as_str()).under(one.upstream_model.clone()),
        Cell::text(one.version.to_string()),
        Cell::text(both(Some(one.prompt), Some(one.completion))),
        Cell::text(both(one.cost_prompt, one.cost_completion)),
    ]
}

#[derive(Clone, Default, Deserialize)]
pub struct PriceQuery {
    #[serde(default)]
    endpoint: String,
    #[serde(default)]
    prompt: String,
    #[serde(default)]
    completion: String,
    #[serde(default)]
    cache_read: String,
}

impl PriceQuery {
    /// The prices that were typed, or what is wrong with them.
    fn prices(&self) -> Result<Charged, String> {
        let read = |text: &str, what: &str| {
            UnitPrice::parse_per_million(text.trim()).map_err(|error| format!("{what} {error}."))
        };
        let cache_read = match self.cache_read.trim() {
            "" => None,
            text => Some(read(text, "The price of cached tokens")?),
        };
        Ok(Charged {
            prompt: read(&self.prompt, "The price of tokens in")?,
            completion: read(&self.completion, "The price of tokens out")?,
            cache_read,
        })
    }
}

async fn endpoint(app: &App, id: &str) -> Result<PricedEndpoint, PageError> {
    let id = uuid::Uuid::try_parse(id).map_err(|_| PageError::NotFound)?;
    let all = store::priced_endpoints(&mut *app.db.acquire().await?).await?;
    all.into_iter().find(|one| one.id == id).ok_or(PageError::NotFound)
}

fn price_fields(typed: &PriceQuery) -> Vec<Input> {
    vec![
        Input::of("dollars", "prompt", "Tokens in").value(typed.prompt.as_str()).required(),
        Input::of("dollars", "completion", "Tokens out").value(typed.completion.as_str()).required(),
        Input::of("dollars", "cache_read", "Cached tokens in").value(typed.cache_read.as_str()),
    ]
}

/// `GET /admin/catalog/price?endpoint=`: the price, and with new ones in the address what they would have cost.
///
/// # Errors
/// `NotFound` for an unknown endpoint; database errors.
pub async fn price(
    app: web::Data<App>,
    staff: Staff,
    query: web::Query<PriceQuery>,
) -> Result<HttpResponse, PageError> {
    let one = endpoint(&app, &query.endpoint).await?;
    let mut typed = query.into_inner();
    let fresh = typed.prompt.is_empty() && typed.completion.is_empty();
    if fresh {
        typed.prompt = one.prompt.per_million().to_string();
        typed.completion = one.completion.per_million().to_string();
        typed.cache_read = one.cache_read.map(|price| price.per_million().to_string()).unwrap_or_default();
    }
    let mut fields = vec![Input::of("hidden", "endpoint", "Endpoint").value(typed.endpoint.as_str())];
    fields.extend(price_fields(&typed));
    let filters = crate::web::views::blocks::Filters {
        action: format!("{HERE}/price"),
        fields,
        is_on: false,
        button: "See what it would change",
    };
    let mut blocks = vec![Block::Filters(filters)];
    match typed.prices() {
        Err(problem) if !fresh => blocks.push(note("bad", "circle-x", problem)),
        Err(_) => {}
        Ok(prices) => {
            blocks.push(Block::Figures(preview(&app, &one, &prices).await?));
            // An auditor works it out, and changes nothing.
            let mut apply = form(&staff, "apply", format!("{HERE}/price"), "Make it the price", "Add a version");
            apply.note =
                "Calls that begin within a second of it are billed by it. Earlier ones keep the price that they were \
                          pinned to."
                    .into();
            apply.hidden.extend([
                ("endpoint", typed.endpoint.clone()),
                ("prompt", typed.prompt.clone()),
                ("completion", typed.completion.clone()),
                ("cache_read", typed.cache_read.clone()),
            ]);
            apply.fields = vec![reason_field()];
            blocks.extend(staff.is_operator().then_some(Block::Form(apply)));
        }
    }
    let about = format!(
        "At {} as {}, version {}. In dollars per million tokens.",
        one.provider, one.upstream_model, one.version
    );
    page_with(
        staff.shell("catalog", &format!("Price of {}", one.model), &about),
        Some((HERE, "Catalog")),
        Vec::new(),
        blocks,
    )
}

pub fn note(tone: &'static str, icon: &'static str, text: String) -> Block {
    Block::Note(crate::web::views::blocks::Note { tone, icon, text, ..Default::default() })
}

/// What the last days would have cost customers by other prices, and the difference.
async fn preview(app: &App, one: &PricedEndpoint, prices: &Charged) -> Result<Figures, PageError> {
    let (now, mut compared) = (what_if::prices_of(one), Compared::default());
    for used in lately(app).await?.iter().filter(|used| used.model == one.model && used.provider == one.provider) {
        compared.add(used, &now, prices);
    }
    Ok(super::what_if::figures(format!("The last {DAYS} days by these prices"), &compared, None))
}

#[derive(Deserialize)]
pub struct PriceForm {
    #[serde(flatten)]
    price: PriceQuery,
    #[serde(flatten)]
    why: ReasonForm,
}

/// `POST /admin/catalog/price`
///
/// # Errors
/// `NotFound` for an unknown endpoint; `Invalid` for what is no price; those of [`act::begin`].
pub async fn set_price(
    app: web::Data<App>,
    staff: Acting,
    Protected(form): Protected<PriceForm>,
) -> Result<HttpResponse, PageError> {
    let one = endpoint(&app, &form.price.endpoint).await?;
    let prices = form.price.prices().map_err(PageError::Invalid)?;
    let Some(mut act) = act::begin(&app, &staff, &form.why.form, &form.why.reason, "price").await? else {
        return Ok(again(&app, HERE));
    };
    let changes = apply(&mut act.tx, &[(one.clone(), prices)]).await?;
    if changes.is_empty() {
        return Ok(done(&app, HERE, true, "That is the price already. Nothing was changed."));
    }
    let target = Target::new("endpoint", one.id, one.model.as_str());
    act.note(None, Action::CatalogApplied, target, (serde_json::Value::Null, json!({ "changes": changes }))).await?;
    act.commit().await?;
    Ok(done(&app, HERE, true, "It is the price from now on."))
}

/// Makes these the prices of these endpoints, as new versions, and says what changed.
///
/// # Errors
/// Database errors, and prices that fit no catalog.
pub async fn apply(
    conn: &mut sqlx::PgConnection,
    prices: &[(PricedEndpoint, Charged)],
) -> Result<Vec<String>, PageError> {
    let file = file(conn, prices).await?;
    let changes = catalog::apply(conn, &file, Missing::Keep).await.map_err(unfit)?;
    Ok(changes.into_iter().map(|change| change.line).collect())
}

fn unfit(error: catalog::ApplyError) -> PageError {
    match error {
        catalog::ApplyError::Database(error) => error.into(),
        catalog::ApplyError::Unfit(error) => PageError::Invalid(format!("The catalog does not take this: {error}.")),
    }
}

/// The endpoints of the catalog with these prices, and nothing else of it.
async fn file(conn: &mut sqlx::PgConnection, prices: &[(PricedEndpoint, Charged)]) -> Result<CatalogFile, PageError> {
    let current = catalog::export(conn).await?;
    let endpoints = current.endpoints.into_iter().filter_map(|mut endpoint| {
        let (_, new) = prices.iter().find(|(one, _)| {
            one.model == endpoint.model.as_str()
                && one.provider == endpoint.provider.as_str()
                && one.upstream_model == endpoint.upstream_model
        })?;
        endpoint.price.prompt = new.prompt;
        endpoint.price.completion = new.completion;
        endpoint.price.cache_read = new.cache_read;
        Some(endpoint)
    });
    Ok(CatalogFile { providers: Vec::new(), models: Vec::new(), endpoints: endpoints.collect() })
}

/// A list of what would change, without changing it.
///
/// # Errors
/// As [`apply`].
pub async fn would_change(
    conn: &mut sqlx::PgConnection,
    prices: &[(PricedEndpoint, Charged)],
) -> Result<Vec<String>, PageError> {
    let file = file(conn, prices).await?;
    let changes = catalog::preview(conn, &file, Missing::Keep).await.map_err(unfit)?;
    Ok(changes.into_iter().map(|change| change.line).collect())
}

/// A day of UTC, as lists of prices show it.
#[must_use]
pub fn day(at: chrono::DateTime<Utc>) -> String {
    at.format("%Y-%m-%d").to_string()
}
