//! The payment page and the desk.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::invoice::{CoinStatus, Invoice, Status};
use super::store::Store;
use crate::base::Usd;
use crate::stand_ins::booth::Booth;
use crate::stand_ins::booth::pages::{Action, DeskPage, PayPage, Payment, go_to, message, page};

/// Payments that the desk shows.
const SHOWN: usize = 30;
/// So much more than is due is sent by somebody who pays too much.
const TOO_MUCH: Usd = Usd::from_whole(10);

pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(desk))
        .route("/_control/act", web::post().to(act))
        .route("/i/{invoice}", web::get().to(show))
        .route("/i/{invoice}", web::post().to(pay));
}

fn has_waiting(invoice: &Invoice) -> bool {
    invoice.coins.iter().any(|coins| coins.status == CoinStatus::Processing)
}

fn due(invoice: &Invoice) -> Usd {
    Invoice::worth((invoice.due() - invoice.paid()).max(Decimal::ZERO))
}

fn pay_page(store: &Store, id: &str) -> HttpResponse {
    let Some(invoice) = store.get(id) else {
        return message(StatusCode::NOT_FOUND, "There is no such invoice", "Start the payment anew in the shop.");
    };
    let mut actions = Vec::new();
    let mut add = |value, label| actions.push(Action { value, label });
    match invoice.status {
        Status::New => {
            add("pay", "Pay");
            add("unconfirmed", "Pay, not confirmed yet");
            add("part", "Pay a part");
            add("over", "Pay too much");
            add("expire", "Let the time run out");
        }
        Status::Expired if due(invoice).is_positive() => add("pay", "Pay late"),
        Status::Settled => add("more", "Pay once more"),
        _ => {}
    }
    if has_waiting(invoice) {
        add("confirm", "Confirm");
    }
    add("back", "Back to the shop");
    let sent = Invoice::worth(invoice.paid());
    let view = PayPage {
        title: "Pay with Bitcoin".to_owned(),
        merchant: format!("Store {}", store.id()),
        amount: format!("{} {}", invoice.amount.display(), invoice.currency),
        sent: if sent.is_zero() { String::new() } else { sent.display() },
        state: format!("Invoice {:?}", invoice.status),
        path: format!("/i/{id}"),
        actions,
        message: None,
    };
    page(StatusCode::OK, &view, invoice.checkout.redirect_url.as_deref())
}

/// `GET /i/{invoice}`
async fn show(booth: web::Data<Booth<Store>>, id: web::Path<String>) -> HttpResponse {
    booth.work(|store, _| pay_page(store, &id))
}

#[derive(Deserialize)]
struct PayForm {
    how: String,
}

/// `POST /i/{invoice}`
async fn pay(booth: web::Data<Booth<Store>>, id: web::Path<String>, form: web::Form<PayForm>) -> HttpResponse {
    booth.work(|store, now_ms| {
        let Some(invoice) = store.get(&id) else { return pay_page(store, &id) };
        let (rest, back) = (due(invoice), invoice.checkout.redirect_url.clone());
        let half = Usd::new(rest.amount() / Decimal::TWO).to_cents();
        let amount = match form.how.as_str() {
            "pay" | "unconfirmed" => rest,
            "part" => half,
            "over" => rest + TOO_MUCH,
            "more" => TOO_MUCH,
            _ => Usd::ZERO,
        };
        store.send(&id, amount, false, now_ms);
        match form.how.as_str() {
            "pay" | "part" | "over" | "more" | "confirm" => store.confirm(&id, now_ms),
            "expire" => store.expire(&id, now_ms),
            _ => {}
        }
        match back {
            Some(back) if matches!(form.how.as_str(), "pay" | "over" | "back" | "more") => go_to(&back),
            _ => pay_page(store, &id),
        }
    })
}

fn desk_page(store: &Store, message: Option<String>) -> HttpResponse {
    let payments = store.invoices().iter().rev().take(SHOWN).map(|invoice| {
        let mut actions = Vec::new();
        let mut add = |value, label| actions.push(Action { value, label });
        if has_waiting(invoice) {
            add("confirm", "Confirm");
            add("take_back", "Taken back by its payer");
        }
        if invoice.status == Status::New {
            add("expire", "Time runs out");
        }
        if invoice.status != Status::Settled {
            add("settle", "Mark as settled");
        }
        if invoice.status != Status::Invalid {
            add("invalid", "Mark as invalid");
        }
        Payment {
            id: invoice.id.clone(),
            amount: format!("{} of {}", Invoice::worth(invoice.paid()).display(), invoice.amount.display()),
            state: format!("{:?}, {:?}", invoice.status, invoice.additional),
            method: String::new(),
            actions,
        }
    });
    let status = if message.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let view = DeskPage { balance: store.balance().display(), message, payments: payments.collect() };
    page(status, &view, None)
}

/// `GET /`
async fn desk(booth: web::Data<Booth<Store>>) -> HttpResponse {
    booth.work(|store, _| desk_page(store, None))
}

#[derive(Deserialize)]
struct ActForm {
    id: String,
    action: String,
}

/// `POST /_control/act`
async fn act(booth: web::Data<Booth<Store>>, form: web::Form<ActForm>) -> HttpResponse {
    booth.work(|store, now_ms| {
        let id = form.id.as_str();
        let done = match form.action.as_str() {
            "settle" => store.mark(id, Status::Settled, now_ms),
            "invalid" => store.mark(id, Status::Invalid, now_ms),
            "confirm" | "take_back" | "expire" if store.get(id).is_some() => {
                match form.action.as_str() {
                    "confirm" => store.confirm(id, now_ms),
                    "take_back" => store.take_back(id, now_ms),
                    _ => store.expire(id, now_ms),
                }
                true
            }
            _ => false,
        };
        if done { go_to("/") } else { desk_page(store, Some("That cannot be done now.".to_owned())) }
    })
}
