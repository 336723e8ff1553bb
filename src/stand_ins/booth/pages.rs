//! Pages for people: the payment page, a desk to play the network and the company, and the faults.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};
use askama::Template;
use url::Url;

use super::faults::Faults;
use super::shared::{Booth, Company};

/// A button: its value and its words.
#[derive(Clone, Copy, Debug)]
pub struct Action {
    pub value: &'static str,
    pub label: &'static str,
}

/// The page where somebody pays.
#[derive(Template)]
#[template(path = "stand_ins/crypto_pay.html")]
pub struct PayPage {
    pub title: String,
    pub merchant: String,
    /// Such as `105.26 USD`.
    pub amount: String,
    /// What was sent so far; empty for nothing.
    pub sent: String,
    pub state: String,
    pub path: String,
    pub actions: Vec<Action>,
    pub message: Option<String>,
}

/// One payment on the desk.
pub struct Payment {
    pub id: String,
    pub amount: String,
    pub state: String,
    pub method: String,
    pub actions: Vec<Action>,
}

#[derive(Template)]
#[template(path = "stand_ins/desk.html")]
pub struct DeskPage {
    pub balance: String,
    pub message: Option<String>,
    pub payments: Vec<Payment>,
}

#[derive(Template)]
#[template(path = "stand_ins/message.html")]
struct MessagePage {
    title: String,
    text: String,
}

/// A page whose forms may only lead to ourselves and this address.
pub fn page(status: StatusCode, view: &impl Template, leads_to: Option<&str>) -> HttpResponse {
    let origin = leads_to.and_then(|url| Url::parse(url).ok()).map(|url| url.origin().ascii_serialization());
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self' {}; base-uri 'none'; frame-ancestors 'none'",
        origin.unwrap_or_default()
    );
    match view.render() {
        Ok(body) => HttpResponse::build(status)
            .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header(("Content-Security-Policy", policy))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .body(body),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

pub fn message(status: StatusCode, title: &str, text: &str) -> HttpResponse {
    page(status, &MessagePage { title: title.to_owned(), text: text.to_owned() }, None)
}

pub fn go_to(url: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, url)).finish()
}

async fn style() -> HttpResponse {
    let css = include_str!("../../../templates/stand_ins/stand-in.css");
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8")).body(css)
}

/// `GET /_control/faults`
async fn faults<C: Company>(booth: web::Data<Booth<C>>) -> web::Json<Faults> {
    web::Json(booth.faults())
}

/// `POST /_control/faults`, as JSON; what is not named is as on a good day.
async fn set_faults<C: Company>(booth: web::Data<Booth<C>>, body: web::Json<Faults>) -> web::Json<Faults> {
    booth.set_faults(body.into_inner());
    web::Json(booth.faults())
}

/// What every stand-in has.
pub fn control<C: Company>(config: &mut web::ServiceConfig) {
    config
        .route("/stand-in.css", web::get().to(style))
        .route("/_control/faults", web::get().to(faults::<C>))
        .route("/_control/faults", web::post().to(set_faults::<C>));
}
