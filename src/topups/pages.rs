//! The credits page, a purchase, the pretend payment page, and receipts.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::fees::{self, Method};
use super::processors::Processors;
use super::start::StartError;
use super::topup::{State, TopUp};
use super::{Outcome, store};
use crate::activity;
use crate::base::ids::{OrgId, TopUpId};
use crate::base::paging::{Rows, fetch_limit};
use crate::base::{Usd, Viewer};
use crate::ledger::{self, Moved};
use crate::orgs::{self, Billing};
use crate::web::present::{amount, when};
use crate::web::views::topups as views;
use crate::web::views::{Badge, Choice, Field, Pager};
use crate::web::{App, PageError, Protected, html, public_page, see_other, unprocessable};

const ROWS: u16 = 20;
/// Moves between organizations that are shown, the newest.
const MOVES: i64 = 20;

#[derive(Default, Deserialize)]
pub struct IndexQuery {
    #[serde(default)]
    amount: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    before: String,
}

/// `GET /credits`
///
/// # Errors
/// Database errors only.
pub async fn index(
    app: web::Data<App>,
    member: Billing,
    query: web::Query<IndexQuery>,
) -> Result<HttpResponse, PageError> {
    let asked = Asked { id: TopUpId::fresh().to_string(), amount: query.amount.clone(), method: query.method.clone() };
    html(&index_view(&app, &member, &asked, query.before.parse().ok()).await?)
}

/// What somebody typed into the form.
struct Asked {
    id: String,
    amount: String,
    method: String,
}

async fn index_view(
    app: &App,
    member: &Billing,
    asked: &Asked,
    before: Option<TopUpId>,
) -> Result<views::Index, PageError> {
    let mut conn = member.tenant(app).await?;
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let spent = activity::summary(&mut conn, member.org_id(), now, viewer.zone, &activity::Slice::default()).await?;
    let topups = Rows::of(store::list(&mut conn, member.org_id(), before, fetch_limit(ROWS)).await?, ROWS);
    let available = member.credit.available();
    let moves = ledger::moves(&mut conn, member.org_id(), MOVES).await?;
    let others: Vec<OrgId> = moves.iter().map(|one| one.other).collect();
    let names = orgs::org_names(&mut conn, &others).await?;
    Ok(views::Index {
        may_move: member.org.is_team(),
        moves: moves.iter().map(|one| move_view(one, &names, now, viewer)).collect(),
        shell: member.shell("credits", "Credits", "What your organization can spend, and what it has bought."),
        available: amount(available),
        held: amount(member.credit.held),
        today: amount(spent.today),
        month: amount(spent.this_month),
        lasts: lasts(spent.days_left(available)),
        form: form_view(app, asked),
        pager: Pager {
            older_href: topups.rows.last().filter(|_| topups.more).map(|last| format!("/credits?before={}", last.id)),
            newest_href: before.map(|_| "/credits".to_owned()),
            note: String::new(),
            ..Pager::default()
        },
        history: topups.rows.iter().map(|topup| row_view(topup, now, viewer)).collect(),
    })
}

fn move_view(one: &Moved, names: &HashMap<OrgId, String>, now: DateTime<Utc>, viewer: Viewer) -> views::MoveRow {
    let other = names.get(&one.other).map_or("an organization that is gone", String::as_str);
    let way = if one.amount.is_negative() { "To" } else { "From" };
    views::MoveRow { time: when(one.at, now, viewer), what: format!("{way} {other}"), amount: amount(one.amount) }
}

/// How long the credits last at the pace of the last seven days, in words; empty without spending.
#[must_use]
pub fn lasts(days: Option<u64>) -> String {
    match days {
        None => String::new(),
        Some(0) => "Lasts less than a day at this pace".to_owned(),
        Some(1) => "Lasts about a day at this pace".to_owned(),
        Some(days) if days > 999 => "Lasts for years at this pace".to_owned(),
        Some(days) => format!("Lasts about {days} days at this pace"),
    }
}

fn offered(app: &App) -> impl Iterator<Item = &'static Method> + use<> {
    let dev = app.dev;
    fees::METHODS.iter().filter(move |method| dev || !method.sandbox)
}

fn form_view(app: &App, asked: &Asked) -> views::TopupForm {
    let chosen = fees::method(&asked.method, app.dev).or_else(|| offered(app).next());
    let (field, quote) = match (asked.amount.as_str(), chosen) {
        ("", _) | (_, None) => (Field::of(asked.amount.clone()), None),
        (text, Some(method)) => match read_amount(text, method) {
            Ok(quote) => (Field::of(text), Some(quote_view(quote, method))),
            Err(problem) => (Field::wrong(text, problem), None),
        },
    };
    views::TopupForm {
        id: asked.id.clone(),
        amount: field,
        methods: offered(app)
            .map(|method| Choice::new(method.slug, method.name, method.note, Some(method) == chosen))
            .collect(),
        range: format!(
            "Between {} and {}.",
            fees::MIN_PURCHASE.display().trim_end_matches(".00"),
            fees::MAX_PURCHASE.display().trim_end_matches(".00")
        ),
        quote,
        sandbox: app.dev,
    }
}

fn read_amount(text: &str, method: &Method) -> Result<fees::Quote, String> {
    let credits = Usd::parse(text).map_err(|error| format!("This {error}."))?;
    fees::quote(credits, method).map_err(|error| format!("The amount {error}."))
}

fn quote_view(quote: fees::Quote, method: &Method) -> views::Quote {
    views::Quote {
        credits: amount(quote.credits),
        fee: amount(quote.fee),
        fee_note: format!("{}%, at least {}", method.fee.percent.normalize(), method.fee.minimum.display()),
        total: amount(quote.total),
        button: format!("Buy {} for {}", quote.credits.display(), quote.total.display()),
    }
}

fn state_badge(state: State) -> Badge {
    match state {
        State::Pending => Badge::new("warn", "clock", "Pending"),
        State::Paid => Badge::new("good", "circle-check", "Paid"),
        State::Failed => Badge::new("bad", "circle-x", "Failed"),
        State::Expired => Badge::new("", "clock", "Expired"),
        State::Refunded => Badge::new("", "receipt", "Refunded"),
        State::Disputed => Badge::new("bad", "triangle-alert", "Disputed"),
    }
}

fn method_name(slug: &str) -> String {
    fees::METHODS.iter().find(|method| method.slug == slug).map_or(slug, |method| method.name).to_owned()
}

fn row_view(topup: &TopUp, now: DateTime<Utc>, viewer: Viewer) -> views::TopupRow {
    views::TopupRow {
        href: format!("/credits/topups/{}", topup.id),
        time: when(topup.created_at, now, viewer),
        amount: amount(topup.credits),
        fee: amount(topup.fee),
        method: method_name(&topup.method),
        state: state_badge(topup.state()),
        by: topup.payer.clone().unwrap_or_default(),
        receipt_href: topup.paid_at.map(|_| receipt_href(topup.id)),
    }
}

fn receipt_href(id: TopUpId) -> String {
    format!("/credits/topups/{id}/receipt")
}

#[derive(Deserialize)]
pub struct StartForm {
    id: String,
    amount: String,
    method: String,
}

/// `POST /credits/topups`
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn create(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    member: Billing,
    Protected(form): Protected<StartForm>,
) -> Result<HttpResponse, PageError> {
    let id: TopUpId = form.id.parse().map_err(|_| PageError::Invalid("The form is damaged.".into()))?;
    let method = fees::method(&form.method, app.dev)
        .ok_or_else(|| PageError::Invalid("This way to pay is not offered.".into()))?;
    let Ok(quote) = read_amount(&form.amount, method) else {
        let asked = Asked { id: form.id, amount: form.amount, method: form.method };
        return unprocessable(&index_view(&app, &member, &asked, None).await?);
    };
    match super::start(&app.db, &processors, &member.acting(), id, method, quote).await {
        Ok(topup) => Ok(see_other(&topup.checkout_url.unwrap_or_else(|| format!("/credits/topups/{id}")))),
        Err(StartError::Differs) => Err(PageError::Invalid(
            "This form was used for another purchase. Go back to Credits and start anew.".into(),
        )),
        Err(StartError::Database(error)) => Err(error.into()),
        Err(StartError::Processor(error)) => Err(PageError::Internal(error.into())),
    }
}

async fn own_topup(app: &App, member: &Billing, id: &str) -> Result<TopUp, PageError> {
    let id: TopUpId = id.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = member.tenant(app).await?;
    store::find(&mut conn, member.org_id(), id).await?.ok_or(PageError::NotFound)
}

/// `GET /credits/topups/{id}`: reads, and never credits.
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn show(app: web::Data<App>, member: Billing, id: web::Path<String>) -> Result<HttpResponse, PageError> {
    let topup = own_topup(&app, &member, &id).await?;
    let (headline, explanation) = match topup.state() {
        State::Pending => (
            "Waiting for the payment".to_owned(),
            "The credits arrive when the payment is confirmed. You can leave this page; nothing is lost.".to_owned(),
        ),
        State::Paid => (
            format!("{} added", topup.credits.display()),
            "The payment is confirmed and the credits can be spent now.".to_owned(),
        ),
        State::Failed => {
            ("The payment failed".to_owned(), format!("{} No credits were added. You can try again.", topup.failure))
        }
        State::Expired => ("The payment expired".to_owned(), "Nothing was paid and no credits were added.".to_owned()),
        State::Refunded => ("Refunded".to_owned(), "The credits were taken back and the payment returned.".to_owned()),
        State::Disputed => ("Disputed".to_owned(), "The credits are on hold until the dispute is decided.".to_owned()),
    };
    let state = topup.state();
    html(&views::Show {
        shell: member.shell("credits", "Payment", "What became of this payment."),
        href: format!("/credits/topups/{}", topup.id),
        state: state_badge(state),
        headline,
        explanation,
        credits: amount(topup.credits),
        fee: amount(topup.fee),
        total: amount(topup.total),
        method: method_name(&topup.method),
        started: when(topup.created_at, app.clock.now(), member.person().viewer()),
        poll: state == State::Pending,
        pay_href: topup.checkout_url.clone().filter(|_| state == State::Pending),
        receipt_href: topup.paid_at.map(|_| receipt_href(topup.id)),
        retry: matches!(state, State::Failed | State::Expired),
        id: topup.id.to_string(),
    })
}

/// `GET /credits/topups/{id}/receipt`
///
/// # Errors
/// `NotFound` for what is not this organization's or not paid.
pub async fn receipt(app: web::Data<App>, member: Billing, id: web::Path<String>) -> Result<HttpResponse, PageError> {
    let topup = own_topup(&app, &member, &id).await?;
    let paid_at = topup.paid_at.ok_or(PageError::NotFound)?;
    html(&views::Receipt {
        shell: member.shell("credits", "Receipt", "For your records; print it or save it as a PDF."),
        number: topup.id.to_string(),
        state: state_badge(topup.state()),
        paid_at: when(paid_at, app.clock.now(), member.person().viewer()),
        org_name: member.org.name.clone(),
        payer: topup.payer.clone().unwrap_or_default(),
        method: method_name(&topup.method),
        credits: amount(topup.credits),
        fee: amount(topup.fee),
        total: amount(topup.total),
        sandbox: topup.processor == "sandbox",
    })
}

/// `GET /sandbox/checkout/{id}`: stands for the processor's own page.
///
/// # Errors
/// `NotFound` outside development, and for what is not this organization's.
pub async fn sandbox_checkout(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    request: HttpRequest,
    member: Billing,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    processors.sandbox().ok_or(PageError::NotFound)?;
    let topup = own_topup(&app, &member, &id).await?;
    html(&views::SandboxCheckout {
        page: public_page(&app, &request, "Sandbox payment"),
        id: topup.id.to_string(),
        org_name: member.org.name.clone(),
        method: method_name(&topup.method),
        credits: amount(topup.credits),
        fee: amount(topup.fee),
        total: amount(topup.total),
    })
}

#[derive(Deserialize)]
pub struct DecideForm {
    outcome: Outcome,
}

/// `POST /sandbox/checkout/{id}`
///
/// # Errors
/// `NotFound` outside development, and for what is not this organization's.
pub async fn sandbox_decide(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    member: Billing,
    id: web::Path<String>,
    Protected(form): Protected<DecideForm>,
) -> Result<HttpResponse, PageError> {
    let sandbox = processors.sandbox().ok_or(PageError::NotFound)?;
    let topup = own_topup(&app, &member, &id).await?;
    sandbox.decide(topup.id, form.outcome).await?;
    Ok(see_other(&format!("/credits/topups/{}", topup.id)))
}
