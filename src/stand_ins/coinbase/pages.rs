//! The payment page and the desk.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::business::Business;
use super::checkout::{Checkout, RefundStatus, Status};
use crate::base::Usd;
use crate::stand_ins::booth::Booth;
use crate::stand_ins::booth::pages::{Action, DeskPage, PayPage, Payment, go_to, message, page};

/// Payments that the desk shows.
const SHOWN: usize = 30;
/// So much more than is asked is sent by somebody who pays too much.
const TOO_MUCH: Usd = Usd::from_whole(10);

pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(desk))
        .route("/_control/act", web::post().to(act))
        .route("/payment-links/{link}", web::get().to(show))
        .route("/payment-links/{link}", web::post().to(pay));
}

fn rest(checkout: &Checkout) -> Usd {
    (checkout.amount - checkout.settled.unwrap_or_default()).max(Usd::ZERO)
}

fn pay_page(business: &Business, link: &str) -> HttpResponse {
    let Some(checkout) = business.by_link(link) else {
        return message(StatusCode::NOT_FOUND, "There is no such payment", "Start the payment anew in the shop.");
    };
    let mut actions = Vec::new();
    let mut add = |value, label| actions.push(Action { value, label });
    match checkout.status {
        Status::Active => {
            add("pay", "Pay");
            add("unconfirmed", "Pay, not confirmed yet");
            add("part", "Pay a part");
            add("over", "Pay too much");
            add("fail", "Let it fail");
            add("expire", "Let the time run out");
        }
        Status::Processing => {
            add("confirm", "Confirm");
            add("fail", "Let it fail");
        }
        Status::Expired => add("pay", "Pay late"),
        _ => {}
    }
    add("back", "Back to the shop");
    let view = PayPage {
        title: "Pay with USDC".to_owned(),
        merchant: checkout.description.clone().unwrap_or_default(),
        amount: format!("{} USDC", super::checkout::text(checkout.amount)),
        sent: checkout.settled.map(|settled| format!("{} USDC", super::checkout::text(settled))).unwrap_or_default(),
        state: format!("Checkout {:?}", checkout.status),
        path: format!("/payment-links/{link}"),
        actions,
        message: None,
    };
    page(StatusCode::OK, &view, checkout.success_url.as_deref())
}

/// `GET /payment-links/{link}`
async fn show(booth: web::Data<Booth<Business>>, link: web::Path<String>) -> HttpResponse {
    booth.work(|business, _| pay_page(business, &link))
}

#[derive(Deserialize)]
struct PayForm {
    how: String,
}

/// `POST /payment-links/{link}`
async fn pay(booth: web::Data<Booth<Business>>, link: web::Path<String>, form: web::Form<PayForm>) -> HttpResponse {
    booth.work(|business, now_ms| {
        let Some(checkout) = business.by_link(&link) else { return pay_page(business, &link) };
        let (id, rest, back) = (checkout.id.clone(), rest(checkout), checkout.success_url.clone());
        let half = Usd::new(rest.amount() / Decimal::TWO).to_cents();
        let open = matches!(checkout.status, Status::Active | Status::Processing | Status::Expired);
        match form.how.as_str() {
            "pay" | "confirm" if open => business.complete(&id, rest, now_ms),
            "over" if open => business.complete(&id, rest + TOO_MUCH, now_ms),
            "part" if open => business.part(&id, half, now_ms),
            "unconfirmed" if open => business.start(&id, now_ms),
            "fail" if open => business.fail(&id, now_ms),
            "expire" if open => business.expire(&id, now_ms),
            _ => {}
        }
        match back {
            Some(back) if matches!(form.how.as_str(), "pay" | "over" | "confirm" | "fail" | "back") => go_to(&back),
            _ => pay_page(business, &link),
        }
    })
}

fn desk_page(business: &Business, message: Option<String>) -> HttpResponse {
    let payments = business.checkouts().iter().rev().take(SHOWN).map(|checkout| {
        let mut actions = Vec::new();
        let mut add = |value, label| actions.push(Action { value, label });
        match checkout.status {
            Status::Active => add("expire", "Time runs out"),
            Status::Processing => {
                add("come", "Money comes");
                add("fail", "Money does not come");
            }
            Status::Completed | Status::PartiallyRefunded => add("refund", "Refund"),
            _ => {}
        }
        if checkout.refunds.iter().any(|refund| refund.status == RefundStatus::Pending) {
            add("arrive", "Refund arrives");
            add("bounce", "Refund fails");
        }
        let came = checkout.settled.unwrap_or_default();
        Payment {
            id: checkout.id.clone(),
            amount: format!("{} of {}", came.display(), checkout.amount.display()),
            state: format!("{:?}", checkout.status),
            method: String::new(),
            actions,
        }
    });
    let status = if message.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let view = DeskPage { balance: business.balance().display(), message, payments: payments.collect() };
    page(status, &view, None)
}

/// `GET /`
async fn desk(booth: web::Data<Booth<Business>>) -> HttpResponse {
    booth.work(|business, _| desk_page(business, None))
}

#[derive(Deserialize)]
struct ActForm {
    id: String,
    action: String,
}

/// `POST /_control/act`
async fn act(booth: web::Data<Booth<Business>>, form: web::Form<ActForm>) -> HttpResponse {
    booth.work(|business, now_ms| {
        let id = form.id.as_str();
        let Some(checkout) = business.get(id) else {
            return desk_page(business, Some("There is no such checkout.".to_owned()));
        };
        let left = checkout.settled.unwrap_or_default() - checkout.going_back();
        let done = match (form.action.as_str(), checkout.status) {
            ("expire", Status::Active) => {
                business.expire(id, now_ms);
                true
            }
            ("come", Status::Processing) => {
                let rest = rest(checkout);
                business.complete(id, rest, now_ms);
                true
            }
            ("fail", Status::Processing) => {
                business.fail(id, now_ms);
                true
            }
            ("refund", _) => business.refund(id, left, None, now_ms).is_some(),
            ("arrive" | "bounce", _) => {
                business.finish_refunds(id, form.action == "arrive", now_ms);
                true
            }
            _ => false,
        };
        if done { go_to("/") } else { desk_page(business, Some("That cannot be done now.".to_owned())) }
    })
}
