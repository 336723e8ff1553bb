//! Importing a price list: what it says providers charge, what prices would follow, and what they would have cost.

use std::collections::HashSet;

use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::catalog::{DAYS, day, lately, note, per_million};
use super::orgs::ReasonForm;
use super::{again, done, form, page, page_with, read_id, reason_field};
use crate::audit::{Action, Target};
use crate::base::ids::PriceListId;
use crate::base::{Digest, Usd};
use crate::catalog::{self, CatalogFile, Missing};
use crate::console::act;
use crate::console::extract::{Acting, Staff};
use crate::console::margin::Charged;
use crate::console::price_list::{self, COLUMNS, ListError, PriceList, with_markup};
use crate::console::store::{self, PricedEndpoint};
use crate::console::what_if::{self, Compared};
use crate::web::present::when;
use crate::web::views::blocks::{Block, Cell, Code, Column, Filters, Input, Table};
use crate::web::{App, PageError, Protected, Upload, see_other};

const HERE: &str = "/admin/catalog/lists";
/// Bytes of a list.
const MAX_LIST: usize = 2 * 1024 * 1024;
const LISTED: i64 = 50;
/// The markup that is offered first.
const USUAL_MARKUP: &str = "0";

/// `GET /admin/catalog/lists`
///
/// # Errors
/// Database errors only.
pub async fn index(app: web::Data<App>, staff: Staff) -> Result<HttpResponse, PageError> {
    let lists = store::price_lists(&mut *app.db.acquire().await?, LISTED).await?;
    let now = app.clock.now();
    let mut upload = form(&staff, "upload", HERE, "Import a price list", "Upload");
    upload.note = format!(
        "A CSV file whose first line names the columns {}. Nothing changes before you have seen what would.",
        COLUMNS.join(", ")
    );
    upload.fields = vec![Input::of("file", "list", "File").required(), reason_field()];
    upload.file = true;
    let table = Table {
        id: "lists",
        title: "Lists".into(),
        columns: vec![Column::of("Uploaded"), Column::of("Name"), Column::of("Applied")],
        rows: lists
            .iter()
            .map(|one| {
                vec![
                    Cell::when(when(one.created_at, now, staff.viewer())).to(format!("{HERE}/{}", one.id)),
                    Cell::text(one.name.as_str()),
                    one.applied_at.map_or_else(|| Cell::text("not yet"), |at| Cell::text(day(at))),
                ]
            })
            .collect(),
        empty: "No list yet".into(),
        ..Table::default()
    };
    let shell = staff.shell("catalog", "Price lists", "What providers charge, for margins and for new prices.");
    // An auditor reads what was uploaded and changes nothing.
    let mut blocks: Vec<Block> = staff.is_operator().then_some(Block::Form(upload)).into_iter().collect();
    blocks.push(Block::Table(table));
    page_with(shell, Some(("/admin/catalog", "Catalog")), Vec::new(), blocks)
}

/// `POST /admin/catalog/lists`: keeps the list. The same file again is the same list.
///
/// # Errors
/// `Invalid` for what is no list; those of [`act::begin`].
pub async fn upload(
    app: web::Data<App>,
    staff: Acting,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    // Read after it is known who sends it.
    let upload = Upload::from_request(&request, &mut payload.into_inner()).await?;
    let file = &upload.file;
    if file.len() > MAX_LIST {
        return Err(PageError::Invalid("A price list has at most 2 MB. Nothing was kept.".into()));
    }
    let text = std::str::from_utf8(file)
        .map_err(|_| PageError::Invalid("The file is no text in UTF-8. Nothing was kept.".into()))?;
    let unread = |error: ListError| PageError::Invalid(format!("{error} Nothing was kept."));
    let list = price_list::parse(text).map_err(unread)?;
    matched(&list, store::priced_endpoints(&mut *app.db.acquire().await?).await?, Decimal::ZERO).map_err(unread)?;
    let mut digest = [0; 16];
    digest.copy_from_slice(&Sha256::digest(text.as_bytes())[..16]);
    let id = PriceListId(uuid::Uuid::from_bytes(digest));
    let name = format!("{} prices", list.len());
    let asked = act::begin(&app, &staff, upload.text("form"), upload.text("reason"), "price_list_upload").await?;
    let Some(mut act) = asked else { return Ok(see_other(&format!("{HERE}/{id}"))) };
    if store::price_list(&mut act.tx, id).await?.is_none() {
        store::insert_list(&mut act.tx, id, (&name, text), act.person.id).await?;
        let target = Target::new("price_list", id, name.as_str());
        let after = json!({ "prices": list.len() });
        act.note(None, Action::PriceListUploaded, target, (Value::Null, after)).await?;
        act.commit().await?;
    }
    Ok(see_other(&format!("{HERE}/{id}")))
}

#[derive(Default, Deserialize)]
pub struct MarkupQuery {
    #[serde(default)]
    markup: String,
}

fn markup(text: &str) -> Result<Decimal, PageError> {
    let text = if text.trim().is_empty() { USUAL_MARKUP } else { text.trim() };
    let percent: Option<Decimal> = text.parse().ok();
    percent
        .filter(|percent| *percent >= Decimal::ZERO && *percent <= Decimal::from(1_000) && percent.scale() <= 4)
        .ok_or_else(|| PageError::Invalid("The markup must be a number of percent from 0 to 1000.".into()))
}

/// Endpoints that the list knows, with what they cost by it and the price that would follow.
///
/// # Errors
/// Names a line that leaves out what one of them costs.
fn matched(
    list: &PriceList,
    endpoints: Vec<PricedEndpoint>,
    percent: Decimal,
) -> Result<Vec<(PricedEndpoint, Charged, Charged)>, ListError> {
    let raised = |charged: Charged| {
        Some(Charged {
            prompt: with_markup(charged.prompt, percent)?,
            completion: with_markup(charged.completion, percent)?,
            cache_read: match charged.cache_read {
                Some(price) => Some(with_markup(price, percent)?),
                None => None,
            },
        })
    };
    let known = endpoints.into_iter().filter_map(|one| {
        let listed = list.get(&(one.provider.clone(), one.upstream_model.clone()))?;
        match listed.charged(one.embeds_or_ranks) {
            Ok(charged) => raised(charged).map(|raised| Ok((one, charged, raised))),
            Err(error) => Some(Err(error)),
        }
    });
    known.collect()
}

/// A list that leaves out a price, in words.
fn lacking(error: &ListError) -> PageError {
    PageError::Invalid(format!("{error} Nothing was changed."))
}

/// `GET /admin/catalog/lists/{list}?markup=`
///
/// # Errors
/// `NotFound` for an unknown one; database errors.
pub async fn show(
    app: web::Data<App>,
    staff: Staff,
    id: web::Path<String>,
    query: web::Query<MarkupQuery>,
) -> Result<HttpResponse, PageError> {
    let id: PriceListId = read_id(&id)?;
    let percent = markup(&query.markup)?;
    let used = lately(&app).await?;
    let mut conn = app.db.acquire().await?;
    let row = store::price_list(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let list = price_list::parse(&row.content).map_err(|error| PageError::Internal(error.into()))?;
    let matched =
        matched(&list, store::priced_endpoints(&mut conn).await?, percent).map_err(|error| lacking(&error))?;
    let filters = Filters {
        action: format!("{HERE}/{id}"),
        fields: vec![Input::of("text", "markup", "Markup in percent").value(percent.to_string())],
        is_on: false,
        button: "Work it out",
    };
    let mut blocks = vec![Block::Filters(filters)];
    if matched.is_empty() {
        let text = "The list names none of the providers and models of the catalog.".to_owned();
        blocks.push(note("warn", "triangle-alert", text));
        let shell = staff.shell("catalog", "Price list", &row.name);
        return page(shell, blocks);
    }
    let (mut compared, mut cost, mut counted) = (Compared::default(), Usd::ZERO, HashSet::new());
    for (one, charged, raised) in &matched {
        // The sums per hour know a model and a provider; where the model has two names there, they are counted once.
        if !counted.insert((one.model.as_str(), one.provider.as_str())) {
            continue;
        }
        for used in used.iter().filter(|used| used.model == one.model && used.provider == one.provider) {
            compared.add(used, &what_if::prices_of(one), raised);
            cost += charged.cost(used);
        }
    }
    let title = format!("The last {DAYS} days by this list, endpoints that it knows");
    blocks.push(Block::Figures(super::what_if::figures(title, &compared, Some(cost))));
    blocks.push(Block::Table(Table {
        id: "endpoints",
        title: format!("{} endpoints that the list knows", matched.len()),
        note: "In dollars per million tokens, in and out.".into(),
        columns: vec![
            Column::of("Model"),
            Column::of("Provider"),
            Column::right("Charges"),
            Column::right("Price now"),
            Column::right("New price"),
        ],
        rows: matched
            .iter()
            .map(|(one, charged, raised)| {
                let both = |a, b| format!("{} and {}", per_million(Some(a)), per_million(Some(b)));
                vec![
                    Cell::text(one.model.as_str()),
                    Cell::text(one.provider.as_str()).under(one.upstream_model.clone()),
                    Cell::text(both(charged.prompt, charged.completion)),
                    Cell::text(both(one.prompt, one.completion)),
                    Cell::text(both(raised.prompt, raised.completion)),
                ]
            })
            .collect(),
        ..Table::default()
    }));
    let new: Vec<_> = matched.iter().map(|(one, _, raised)| (one.clone(), *raised)).collect();
    let changes = would_change(&mut conn, &new).await?;
    blocks.push(Block::Code(Code {
        id: "changes",
        title: "What would change in the catalog".into(),
        note: String::new(),
        text: if changes.is_empty() { "Nothing: these are the prices already.".into() } else { changes.join("\n") },
    }));
    let mut form = form(&staff, "apply", format!("{HERE}/{id}/apply"), "Apply it", "Apply");
    form.note = "What providers charge is kept for margins in any case.".into();
    form.hidden.extend([("markup", percent.to_string()), ("shown", mark(&changes))]);
    form.fields = vec![
        Input::of("check", "prices", "Also make the new prices those of customers, as new versions"),
        reason_field(),
    ];
    blocks.extend(staff.is_operator().then_some(Block::Form(form)));
    let shell = staff.shell("catalog", "Price list", &row.name);
    page_with(shell, Some((HERE, "Price lists")), Vec::new(), blocks)
}

#[derive(Deserialize)]
pub struct ApplyForm {
    #[serde(default)]
    markup: String,
    #[serde(default)]
    prices: String,
    /// The mark of the changes that were shown.
    #[serde(default)]
    shown: String,
    #[serde(flatten)]
    why: ReasonForm,
}

/// `POST /admin/catalog/lists/{list}/apply`
///
/// # Errors
/// `NotFound` for an unknown one; those of [`act::begin`].
pub async fn apply_list(
    app: web::Data<App>,
    staff: Acting,
    id: web::Path<String>,
    Protected(form): Protected<ApplyForm>,
) -> Result<HttpResponse, PageError> {
    let id: PriceListId = read_id(&id)?;
    let percent = markup(&form.markup)?;
    let row = store::price_list(&mut *app.db.acquire().await?, id).await?.ok_or(PageError::NotFound)?;
    let list = price_list::parse(&row.content).map_err(|error| PageError::Internal(error.into()))?;
    let Some(mut act) = act::begin(&app, &staff, &form.why.form, &form.why.reason, "price_list").await? else {
        return Ok(again(&app, "/admin/catalog"));
    };
    let matched =
        matched(&list, store::priced_endpoints(&mut act.tx).await?, percent).map_err(|error| lacking(&error))?;
    for (one, charged, _) in &matched {
        let prices = (charged.prompt, charged.completion, charged.cache_read);
        store::add_upstream_price(&mut act.tx, one.id, prices, id).await?;
    }
    let mut changes = Vec::new();
    if !form.prices.is_empty() {
        let new: Vec<_> = matched.iter().map(|(one, _, raised)| (one.clone(), *raised)).collect();
        changes = apply(&mut act.tx, &new).await?;
        if mark(&changes) != form.shown {
            return Err(PageError::Invalid(
                "Somebody else has changed these prices meanwhile. Open the list again. Nothing was changed.".into(),
            ));
        }
    }
    store::mark_applied(&mut act.tx, id).await?;
    let after = json!({ "costs": matched.len(), "prices": changes.len(), "markup": percent.to_string() });
    let target = Target::new("price_list", id, row.name.as_str());
    act.note(None, Action::CatalogApplied, target, (Value::Null, after)).await?;
    act.commit().await?;
    let text = format!("What {} endpoints cost is kept; {} prices changed.", matched.len(), changes.len());
    Ok(done(&app, "/admin/catalog", true, &text))
}

/// The endpoints of the catalog with these prices, and nothing else of it.
fn file(now: CatalogFile, prices: &[(PricedEndpoint, Charged)]) -> CatalogFile {
    let endpoints = now.endpoints.into_iter().filter_map(|mut endpoint| {
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
    CatalogFile { endpoints: endpoints.collect(), ..CatalogFile::default() }
}

/// A list of what would change, without changing it.
async fn would_change(
    conn: &mut sqlx::PgConnection,
    prices: &[(PricedEndpoint, Charged)],
) -> Result<Vec<String>, PageError> {
    let file = file(catalog::export(conn).await?, prices);
    let changes = catalog::preview(conn, &file, Missing::Keep).await.map_err(unfit)?;
    Ok(changes.into_iter().map(|change| change.line).collect())
}

/// Makes these the prices of these endpoints, as new versions, and says what changed. Whatever else holds there stays, also
/// what somebody changes at this moment.
async fn apply(conn: &mut sqlx::PgConnection, prices: &[(PricedEndpoint, Charged)]) -> Result<Vec<String>, PageError> {
    let file = file(catalog::hold(conn).await?, prices);
    let changes = catalog::apply(conn, &file, Missing::Keep).await.map_err(unfit)?;
    Ok(changes.into_iter().map(|change| change.line).collect())
}

fn unfit(error: catalog::ApplyError) -> PageError {
    match error {
        catalog::ApplyError::Database(error) => error.into(),
        catalog::ApplyError::Unfit(error) => PageError::Invalid(format!("The catalog does not take this: {error}.")),
    }
}

/// Tells whether what is applied is what was shown.
fn mark(changes: &[String]) -> String {
    Digest::of(changes.join("\n")).to_hex()
}
