//! The credits page, a purchase, and the pretend payment page.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::auto;
use super::fees::{self, Family, Method, Schedule, method_name};
use super::processors::{Processor, ProcessorError, Processors};
use super::refund::refundable;
use super::refunds::pages::refund_view;
use super::saved::pages::method_view;
use super::start::{Purchase, StartError};
use super::store::RedemptionView;
use super::told::told;
use super::topup::{State, TopUp};
use super::{Outcome, store};
use crate::activity;
use crate::base::ids::{OrgId, TopUpId};
use crate::base::paging::{Rows, fetch_limit};
use crate::base::{Usd, Viewer};
use crate::ledger::{self, Moved};
use crate::orgs::{self, Billing, OrgError};
use crate::web::page::with_status;
use crate::web::present::{amount, when};
use crate::web::views::topups as views;
use crate::web::views::{Badge, Choice, Field, Pager};
use crate::web::{App, Destination, PageError, Protected, away, html, public_page, see_other, unprocessable};

const ROWS: u16 = 20;
/// Later payments of one purchase, the last ones.
const MAX_MORE: usize = 100;
/// What somebody who sends the money themselves should know before.
const SEND_ALL: &str = "It shows how much to send, and where to. Send all of it in one payment before its time runs out. \
    The credits arrive when the network has confirmed it.";
/// Moves between organizations that are shown, the newest.
const MOVES: i64 = 20;
/// Redeemed codes that are shown, the newest.
const REDEEMED: i64 = 20;

#[derive(Default, Deserialize)]
pub struct IndexQuery {
    #[serde(default)]
    amount: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    save: String,
    #[serde(default)]
    before: String,
}

/// `GET /credits`
///
/// # Errors
/// Database errors only.
pub async fn index(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    member: Billing,
    query: web::Query<IndexQuery>,
) -> Result<HttpResponse, PageError> {
    let asked = Asked {
        id: TopUpId::fresh().to_string(),
        amount: query.amount.clone(),
        method: query.method.clone(),
        save: query.save == "1",
        problem: String::new(),
    };
    html(&index_view(&app, &processors, &member, &asked, query.before.parse().ok()).await?)
}

/// What somebody typed into the form.
struct Asked {
    id: String,
    amount: String,
    method: String,
    save: bool,
    /// Why the payment page was not reached.
    problem: String,
}

async fn index_view(
    app: &App,
    processors: &Processors,
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
    let methods = store::payment_methods(&mut conn, member.org_id()).await?;
    let rules = rules(&mut conn, member.org_id()).await?;
    let redeemed = store::redemptions(&mut conn, member.org_id(), REDEEMED).await?;
    Ok(views::Index {
        rules,
        redeemed: redeemed.iter().map(|one| redeemed_view(one, now, viewer)).collect(),
        methods: methods.iter().map(method_view).collect(),
        may_keep: processors.schedule().reusable().next().is_some(),
        may_move: member.org.is_team(),
        moves: moves.iter().map(|one| move_view(one, &names, now, viewer)).collect(),
        shell: member.shell("credits", "Credits", "What your organization can spend, and what it has bought."),
        available: amount(available),
        held: amount(member.credit.held),
        today: amount(spent.today),
        month: amount(spent.this_month),
        lasts: lasts(spent.days_left(available)),
        form: form_view(processors, asked),
        pager: Pager {
            older_href: topups.rows.last().filter(|_| topups.more).map(|last| format!("/credits?before={}", last.id)),
            newest_href: before.map(|_| "/credits".to_owned()),
            note: String::new(),
            ..Pager::default()
        },
        history: topups.rows.iter().map(|topup| row_view(topup, now, viewer)).collect(),
    })
}

/// What happens by itself with the balance.
async fn rules(conn: &mut PgConnection, org: OrgId) -> Result<Vec<views::RuleLine>, sqlx::Error> {
    let state = |on| if on { Badge::new("good", "circle-check", "On") } else { Badge::new("", "ban", "Off") };
    let (buys, sentence) = auto::pages::summary(conn, org).await?;
    let alert = store::alert(conn, org).await?;
    let tells = match alert.enabled {
        true => format!("Mails when credits fall below {}.", alert.below.display()),
        false => "Nobody is told when credits run low.".to_owned(),
    };
    let line = |title: &str, on, text, href: &str| views::RuleLine {
        title: title.to_owned(),
        state: state(on),
        text,
        href: href.to_owned(),
    };
    Ok(vec![
        line("Auto top-up", buys, sentence, "/credits/auto"),
        line("Low-balance alert", alert.enabled, tells, "/settings/balance"),
    ])
}

fn redeemed_view(one: &RedemptionView, now: DateTime<Utc>, viewer: Viewer) -> views::RedeemedRow {
    views::RedeemedRow {
        time: when(one.at, now, viewer),
        amount: amount(one.amount),
        by: one.by.clone().unwrap_or_else(|| "somebody who is gone".to_owned()),
    }
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

fn form_view(processors: &Processors, asked: &Asked) -> views::TopupForm {
    let schedule = &processors.schedule();
    let chosen = schedule.method(&asked.method).or_else(|| schedule.methods().first());
    let (field, quote) = match (asked.amount.as_str(), chosen) {
        ("", _) | (_, None) => (Field::of(asked.amount.clone()), None),
        (text, Some(method)) => match read_amount(text, schedule, method) {
            Ok(quote) => (Field::of(text), Some(quote_view(quote, method))),
            Err(problem) => (Field::wrong(text, problem), None),
        },
    };
    let whole = |amount: Usd| amount.display().trim_end_matches(".00").to_owned();
    views::TopupForm {
        id: asked.id.clone(),
        fees: schedule.version.to_string(),
        amount: field,
        problem: asked.problem.clone(),
        groups: groups(schedule, chosen),
        may_save: chosen.is_some_and(|method| method.family == Family::Reusable),
        save: asked.save,
        range: format!("Between {} and {}.", whole(schedule.min), whole(schedule.max)),
        quote,
        sandbox: chosen.is_some_and(|method| method.processor == "sandbox"),
    }
}

/// Ways to pay that can be charged again stand open; the others behind their names.
fn groups(schedule: &Schedule, chosen: Option<&Method>) -> Vec<views::MethodGroup> {
    let families =
        [(Family::Reusable, ""), (Family::Crypto, "Use crypto"), (Family::OneTime, "Use one-time payment methods")];
    let mut groups: Vec<views::MethodGroup> = Vec::new();
    for (family, summary) in families {
        let of_family = schedule.methods().iter().filter(|method| method.family == family);
        let methods: Vec<Choice> = of_family
            .map(|method| Choice::new(method.slug, method.name, method.note, Some(method) == chosen))
            .collect();
        let open = chosen.is_some_and(|method| method.family == family);
        // What is alone needs no door in front of it.
        let summary = if groups.is_empty() { String::new() } else { summary.to_owned() };
        if !methods.is_empty() {
            groups.push(views::MethodGroup { summary, methods, open });
        }
    }
    groups
}

fn read_amount(text: &str, schedule: &Schedule, method: &Method) -> Result<fees::Quote, String> {
    let credits = Usd::parse(text).map_err(|error| format!("This {error}."))?;
    schedule.quote(credits, method).map_err(|error| format!("The amount {error}."))
}

fn quote_view(quote: fees::Quote, method: &Method) -> views::Quote {
    views::Quote {
        credits: amount(quote.credits),
        fee: amount(quote.fee),
        fee_note: method.fee.describe(),
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

fn row_view(topup: &TopUp, now: DateTime<Utc>, viewer: Viewer) -> views::TopupRow {
    views::TopupRow {
        href: format!("/credits/topups/{}", topup.id),
        time: when(topup.created_at, now, viewer),
        amount: amount(topup.credits),
        fee: amount(topup.fee),
        method: method_name(&topup.method).to_owned(),
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
    #[serde(default)]
    save: String,
    /// The version of the fees that the form showed.
    #[serde(default)]
    fees: String,
}

/// `POST /credits/topups`
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn create(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    request: HttpRequest,
    member: Billing,
    Protected(form): Protected<StartForm>,
) -> Result<HttpResponse, PageError> {
    let id: TopUpId = form.id.parse().map_err(|_| PageError::Invalid("The form is damaged.".into()))?;
    let schedule = &processors.schedule();
    let method =
        schedule.method(&form.method).ok_or_else(|| PageError::Invalid("This way to pay is not offered.".into()))?;
    let save = form.save == "1" && method.family == Family::Reusable;
    let quote = read_amount(&form.amount, schedule, method);
    let asked = |problem| Asked { id: form.id, amount: form.amount, method: form.method, save, problem };
    let Ok(quote) = quote else {
        return unprocessable(&index_view(&app, &processors, &member, &asked(String::new()), None).await?);
    };
    if save {
        // What is kept can be charged again, so it is added like any other way to pay.
        member.signed_in.recently(&app, &request)?;
    }
    if !form.fees.is_empty() && form.fees != schedule.version.to_string() {
        let mut conn = member.tenant(&app).await?;
        let begun = super::store::find(&mut conn, member.org_id(), id).await?;
        drop(conn);
        // One that was begun keeps its fee.
        if begun.is_none() {
            let told = "The fees have changed since this page was opened. Look at the total again, then send it.";
            return unprocessable(&index_view(&app, &processors, &member, &asked(told.to_owned()), None).await?);
        }
    }
    let started =
        super::start::start(&app.db, &processors, &member.acting(), Purchase { id, method, quote, save }).await;
    let problem = match started {
        Ok(topup) => return onward(&app, &request, &topup, method.family),
        Err(StartError::Differs) => {
            return Err(PageError::Invalid(
                "This form was used for another purchase. Go back to Credits and start anew.".into(),
            ));
        }
        Err(told @ (StartError::Frozen | StartError::Org(OrgError::Closing))) => {
            return unprocessable(&index_view(&app, &processors, &member, &asked(told.to_string()), None).await?);
        }
        Err(StartError::Org(error)) => return Err(error.into()),
        Err(StartError::Database(error)) => return Err(error.into()),
        Err(StartError::Processor(error)) => error,
    };
    tracing::warn!(topup = %id, error = %problem, "a payment page could not be opened");
    let (status, text) = match problem {
        ProcessorError::Refused(_) | ProcessorError::Unsupported | ProcessorError::Missing(_) => (
            StatusCode::BAD_GATEWAY,
            "The payment processor refused to open a payment page. Nothing was charged. Try another way to pay, or ask whoever runs this instance.",
        ),
        // The same id goes into the form again, so that a second try cannot become a second purchase.
        ProcessorError::Unknown(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The payment processor does not answer. Nothing was charged. Send the form again in a moment.",
        ),
    };
    with_status(status, &index_view(&app, &processors, &member, &asked(text.to_owned()), None).await?)
}

/// To the payment page, wherever it is.
fn onward(app: &App, request: &HttpRequest, topup: &TopUp, family: Family) -> Result<HttpResponse, PageError> {
    let here = format!("/credits/topups/{}", topup.id);
    let pay = topup.checkout_url.as_deref().filter(|_| topup.state() == State::Pending);
    let Some(url) = pay else { return Ok(see_other(&here)) };
    match url::Url::parse(url) {
        Ok(url) => {
            let to = Destination {
                label: "the payment page",
                url: &url,
                explanation: match family {
                    Family::Crypto => SEND_ALL,
                    _ => "You pay there and come back here. Farebox never sees what you pay with.",
                },
                back: (&here, "Leave without paying"),
            };
            away(app, request, to)
        }
        Err(_) => Ok(see_other(url)),
    }
}

/// A purchase of the organization that is open.
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn own_topup(app: &App, member: &Billing, id: &str) -> Result<TopUp, PageError> {
    let id: TopUpId = id.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = member.tenant(app).await?;
    store::find(&mut conn, member.org_id(), id).await?.ok_or(PageError::NotFound)
}

/// `GET /credits/topups/{id}`: reads, and never credits.
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn show(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    mut member: Billing,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let topup = own_topup(&app, &member, &id).await?;
    let mut conn = member.tenant(&app).await?;
    // Read after the purchase, so that a page which says that credits came shows them in the balance too.
    member.0.credit = ledger::credit_state(&mut conn, topup.org).await?;
    let refunds = store::refunds(&mut conn, member.org_id(), topup.id).await?;
    let mut more = store::more_of(&mut conn, member.org_id(), topup.id).await?;
    more.drain(..more.len().saturating_sub(MAX_MORE));
    drop(conn);
    let sent = processors.get(&topup.processor).is_ok_and(Processor::payers_choose);
    let (headline, explanation) = told(&topup, sent);
    let state = topup.state();
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let may_return = refundable(&topup, member.credit.available(), &processors, now).is_positive();
    html(&views::Show {
        shell: member.shell("credits", "Payment", "What became of this payment."),
        href: format!("/credits/topups/{}", topup.id),
        state: state_badge(state),
        headline,
        explanation,
        credits: amount(topup.credits),
        fee: amount(topup.fee),
        total: amount(topup.total),
        method: method_name(&topup.method).to_owned(),
        started: when(topup.created_at, now, viewer),
        poll: state == State::Pending,
        // Who has sent it all must not send it again.
        pay_href: topup.checkout_url.clone().filter(|_| state == State::Pending && topup.seen < topup.total),
        seen: topup.seen.is_positive().then(|| amount(topup.seen)).filter(|_| state == State::Pending),
        more: more.iter().map(|one| row_view(one, now, viewer)).collect(),
        first_href: topup.more_of.map(|first| format!("/credits/topups/{first}")),
        receipt_href: topup.paid_at.map(|_| receipt_href(topup.id)),
        retry: matches!(state, State::Failed | State::Expired),
        refund_href: may_return.then(|| format!("/credits/topups/{}/refund", topup.id)),
        refunds: refunds.iter().map(|refund| refund_view(refund, now, viewer)).collect(),
        origin: if topup.is_auto() { "Auto top-up".to_owned() } else { String::new() },
        id: topup.id.to_string(),
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
        method: method_name(&topup.method).to_owned(),
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
