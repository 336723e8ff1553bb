//! Pages for people: the hosted payment page, the bank's page, and a desk where a developer plays everybody else.

use std::collections::BTreeSet;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::books::{Cause, Work};
use super::error::Refusal;
use super::hosted::{self, Click, Outcome, PayAs};
use super::objects::{number, text};
use super::stand_in::Shared;
use super::{attempts, disputes, intents, methods, refunds, sessions};

/// Payments that the desk shows.
const SHOWN: usize = 30;

pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(desk))
        .route("/_control/act", web::post().to(act))
        .route("/pay/{session}", web::get().to(pay))
        .route("/pay/{session}", web::post().to(paid))
        .route("/authenticate/{intent}", web::get().to(authenticate))
        .route("/authenticate/{intent}", web::post().to(authenticated))
        .route("/receipts/{charge}", web::get().to(receipt))
        .route("/stand-in.css", web::get().to(style));
}

struct Method {
    kind: String,
    label: &'static str,
}

#[derive(Template)]
#[template(path = "stand_ins/pay.html")]
struct PayPage {
    session: String,
    merchant: String,
    title: String,
    /// Nothing when a method is only saved.
    amount: Option<String>,
    methods: Vec<Method>,
    later: bool,
    keep: bool,
    message: Option<String>,
}

#[derive(Template)]
#[template(path = "stand_ins/authenticate.html")]
struct BankPage {
    intent: String,
    amount: Option<String>,
}

#[derive(Template)]
#[template(path = "stand_ins/message.html")]
struct MessagePage {
    title: String,
    text: String,
}

struct Action {
    value: &'static str,
    label: &'static str,
}

struct Payment {
    id: String,
    amount: String,
    state: String,
    method: String,
    actions: Vec<Action>,
}

#[derive(Template)]
#[template(path = "stand_ins/desk.html")]
struct DeskPage {
    balance: String,
    message: Option<String>,
    payments: Vec<Payment>,
}

/// Cents as a person reads them.
fn shown(cents: i64, currency: &str) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02} {}", cents / 100, cents % 100, currency.to_uppercase())
}

/// A page whose forms may only lead to ourselves and these addresses.
fn page(status: StatusCode, view: &impl Template, leads_to: &[String]) -> HttpResponse {
    let origins = leads_to.iter().filter_map(|url| Url::parse(url).ok()).map(|url| url.origin().ascii_serialization());
    let origins: BTreeSet<String> = origins.collect();
    let origins: Vec<String> = origins.into_iter().collect();
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self' {}; base-uri 'none'; frame-ancestors 'none'",
        origins.join(" ")
    );
    match view.render() {
        Ok(body) => HttpResponse::build(status)
            .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header(("Content-Security-Policy", policy))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .body(body),
        Err(error) => HttpResponse::InternalServerError().body(format!("The page was not rendered: {error}")),
    }
}

fn message(status: StatusCode, title: &str, text: &str) -> HttpResponse {
    page(status, &MessagePage { title: title.to_owned(), text: text.to_owned() }, &[])
}

fn refused(refusal: &Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    message(status, "This cannot be done", refusal.message())
}

fn go_to(address: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, address)).finish()
}

fn label(kind: &str) -> &'static str {
    match kind {
        "card" => "Card 4242",
        "us_bank_account" => "US bank account (takes days)",
        "cashapp" => "Cash App Pay",
        "amazon_pay" => "Amazon Pay",
        "alipay" => "Alipay",
        "wechat_pay" => "WeChat Pay",
        _ => "Another method",
    }
}

fn pay_page(work: &Work, session: &Value, message: Option<String>) -> HttpResponse {
    let kinds = session["payment_method_types"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let kinds: Vec<&str> = kinds.collect();
    let amount = session["amount_total"].as_i64().map(|cents| shown(cents, text(session, "currency")));
    let status = if message.is_some() { StatusCode::PAYMENT_REQUIRED } else { StatusCode::OK };
    let view = PayPage {
        session: text(session, "id").to_owned(),
        merchant: format!("Merchant {}", work.house.account),
        title: work.books.private(text(session, "id")).title,
        amount,
        later: session["mode"] == "payment" && kinds.iter().any(|kind| methods::is_later(kind)),
        keep: session["saved_payment_method_options"]["payment_method_save"] == "enabled",
        methods: kinds.iter().map(|kind| Method { kind: (*kind).to_owned(), label: label(kind) }).collect(),
        message,
    };
    page(status, &view, &leads_to(session))
}

fn leads_to(session: &Value) -> Vec<String> {
    ["success_url", "cancel_url"].iter().filter_map(|field| session[*field].as_str()).map(str::to_owned).collect()
}

/// `GET /pay/{session}`
async fn pay(shared: web::Data<Shared>, id: web::Path<String>) -> HttpResponse {
    shared.work(Cause::default(), |work| match sessions::open(work, &id) {
        Ok(session) => pay_page(work, &session, None),
        Err(refusal) => refused(&refusal),
    })
}

#[derive(Deserialize)]
struct PayForm {
    how: String,
    method: Option<String>,
    keep: Option<String>,
}

/// `POST /pay/{session}`
async fn paid(shared: web::Data<Shared>, id: web::Path<String>, form: web::Form<PayForm>) -> HttpResponse {
    let how = match form.how.as_str() {
        "succeed" => PayAs::Succeed,
        "decline" => PayAs::Decline,
        "delay" => PayAs::Delay,
        _ => PayAs::Cancel,
    };
    shared.work(Cause::default(), |work| {
        let click = Click { how, method: form.method.as_deref(), keep: form.keep.is_some() };
        match hosted::click(work, &id, &click) {
            Ok(outcome) => follow(work, &id, outcome),
            Err(refusal) => refused(&refusal),
        }
    })
}

fn follow(work: &Work, session: &str, outcome: Outcome) -> HttpResponse {
    match outcome {
        Outcome::GoTo(url) if !url.is_empty() => go_to(&url),
        Outcome::GoTo(_) => message(StatusCode::OK, "Nothing was paid", "The shop gave no address to go back to."),
        Outcome::Authenticate(intent) => go_to(&format!("/authenticate/{intent}")),
        Outcome::Declined(said) => match sessions::open(work, session) {
            Ok(session) => pay_page(work, &session, Some(said)),
            Err(refusal) => refused(&refusal),
        },
        Outcome::Expired => message(StatusCode::OK, "This is over", "You can close this page."),
    }
}

fn intent(work: &Work, id: &str) -> Result<Value, Refusal> {
    let intent = work.find(if id.starts_with("seti_") { "setup_intent" } else { "payment_intent" }, id)?;
    if intent["status"] == "requires_action" {
        return Ok(intent);
    }
    Err(Refusal::invalid("Nothing has to be confirmed here any more."))
}

/// `GET /authenticate/{intent}`
async fn authenticate(shared: web::Data<Shared>, id: web::Path<String>) -> HttpResponse {
    shared.work(Cause::default(), |work| match intent(work, &id) {
        Ok(intent) => {
            let private = work.books.private(&id);
            let session = private.session.map(|session| leads_to(&work.now_is(&session))).unwrap_or_default();
            let leads: Vec<String> = session.into_iter().chain(private.return_url).collect();
            let amount = intent["amount"].as_i64().map(|cents| shown(cents, text(&intent, "currency")));
            page(StatusCode::OK, &BankPage { intent: id.clone(), amount }, &leads)
        }
        Err(refusal) => refused(&refusal),
    })
}

#[derive(Deserialize)]
struct BankForm {
    how: String,
}

/// `POST /authenticate/{intent}`
async fn authenticated(shared: web::Data<Shared>, id: web::Path<String>, form: web::Form<BankForm>) -> HttpResponse {
    shared.work(Cause::default(), |work| {
        let session = work.books.private(&id).session.unwrap_or_default();
        match hosted::authenticate(work, &id, form.how == "approve") {
            Ok(outcome) => follow(work, &session, outcome),
            Err(refusal) => refused(&refusal),
        }
    })
}

/// `GET /receipts/{charge}`
async fn receipt(shared: web::Data<Shared>, id: web::Path<String>) -> HttpResponse {
    shared.work(Cause::default(), |work| match work.find("charge", &id) {
        Ok(charge) => {
            let amount = shown(number(&charge, "amount"), text(&charge, "currency"));
            message(StatusCode::OK, &format!("Receipt for {amount}"), text(&charge, "id"))
        }
        Err(refusal) => refused(&refusal),
    })
}

async fn style() -> HttpResponse {
    let css = include_str!("../../../templates/stand_ins/stand-in.css");
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8")).body(css)
}

fn desk_page(work: &Work, message: Option<String>) -> HttpResponse {
    let payments = work.books.all("payment_intent").take(SHOWN).map(|intent| payment(work, intent)).collect();
    let status = if message.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    page(status, &DeskPage { balance: shown(work.books.balance(), "usd"), message, payments }, &[])
}

fn payment(work: &Work, intent: &Value) -> Payment {
    let charge = intent["latest_charge"].as_str().map(|id| work.now_is(id)).unwrap_or_default();
    let in_dispute = disputes::of_charge(work, text(&charge, "id")).any(disputes::is_open);
    let actions: &[(&str, &str)] = match (text(intent, "status"), in_dispute) {
        ("processing", _) => &[("come", "Money comes"), ("fail", "Money does not come")],
        ("succeeded", false) => &[("refund", "Refund"), ("dispute", "Dispute"), ("warn", "Warn of fraud")],
        ("succeeded", true) => &[("won", "Dispute is won"), ("lost", "Dispute is lost")],
        _ => &[],
    };
    Payment {
        id: text(intent, "id").to_owned(),
        amount: shown(number(intent, "amount"), text(intent, "currency")),
        state: text(intent, "status").to_owned(),
        method: text(&charge["payment_method_details"], "type").to_owned(),
        actions: actions.iter().map(|(value, label)| Action { value, label }).collect(),
    }
}

/// `GET /`
async fn desk(shared: web::Data<Shared>) -> HttpResponse {
    shared.work(Cause::default(), |work| desk_page(work, None))
}

#[derive(Deserialize)]
struct ActForm {
    id: String,
    action: String,
}

/// `POST /_control/act`
async fn act(shared: web::Data<Shared>, form: web::Form<ActForm>) -> HttpResponse {
    shared.work(Cause::default(), |work| match perform(work, &form.id, &form.action) {
        Ok(()) => go_to("/"),
        Err(refusal) => desk_page(work, Some(refusal.message().to_owned())),
    })
}

fn perform(work: &mut Work, intent: &str, action: &str) -> Result<(), Refusal> {
    match action {
        "come" => attempts::settle(work, intent, true),
        "fail" => attempts::settle(work, intent, false),
        "dispute" => disputes::open(work, intent, None).map(drop),
        "warn" => disputes::warn(work, intent).map(drop),
        "won" | "lost" => {
            let charge = intents::latest_charge(work, intent, None)?;
            let dispute = disputes::of_charge(work, text(&charge, "id")).next();
            let dispute = dispute.map(|dispute| text(dispute, "id").to_owned()).unwrap_or_default();
            disputes::close(work, &dispute, action == "won").map(drop)
        }
        "refund" => {
            let charge = intents::latest_charge(work, intent, None)?;
            let refund = refunds::refund(work, &charge, None)?;
            refunds::announce(work, &refund);
            Ok(())
        }
        _ => Err(Refusal::invalid("The desk knows no such action.")),
    }
}
