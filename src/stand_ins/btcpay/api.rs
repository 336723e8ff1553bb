//! The part of the Greenfield API that is modelled.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::invoice::{NewInvoice, Status};
use super::store::{MAX_INVOICES, Store};
use crate::stand_ins::booth::{Booth, Reply, Seen};

/// The most that one list tells.
const MAX_TAKE: usize = 250;

fn refused(status: u16, code: &str, message: &str) -> Reply {
    Reply { status, body: json!({ "code": code, "message": message }) }
}

fn invalid(path: &str, message: &str) -> Reply {
    Reply { status: 422, body: json!([{ "path": path, "message": message }]) }
}

/// Everything under `/api/v1`.
pub async fn answer(
    booth: web::Data<Booth<Store>>,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    let method = request.method().to_string();
    let seen = Seen { method: method.clone(), path: request.uri().to_string(), idempotency_key: None, status: 0 };
    let sent = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = sent.strip_prefix("token ").unwrap_or_default().to_owned();
    let query = request.query_string().to_owned();
    booth
        .answer(seen, move |store, now_ms| {
            if token.is_empty() || !bool::from(token.as_bytes().ct_eq(store.key().as_bytes())) {
                return refused(401, "unauthenticated", "Authentication is required for accessing this endpoint");
            }
            let steps: Vec<&str> = path.split('/').collect();
            match (method.as_str(), steps.as_slice()) {
                (_, ["stores", other, ..]) if *other != store.id() => {
                    refused(403, "missing-permission", "Insufficient API Permissions.")
                }
                ("POST", ["stores", _, "invoices"]) => make(store, &body, now_ms),
                ("GET", ["stores", _, "invoices"]) => list(store, &query),
                ("GET", ["stores", _, "invoices", id]) => {
                    one(store, id, |store, id| store.get(id).map(|found| store.object(found)))
                }
                ("GET", ["stores", _, "invoices", id, "payment-methods"]) => {
                    let all = query.contains("onlyAccountedPayments=false");
                    one(store, id, |store, id| store.get(id).map(|found| found.ways(all)))
                }
                ("POST", ["stores", _, "invoices", id, "status"]) => mark(store, id, &body, now_ms),
                _ => refused(404, "not-modelled", "This stand-in does not model this address."),
            }
        })
        .await
}

fn one(store: &Store, id: &str, find: impl Fn(&Store, &str) -> Option<Value>) -> Reply {
    match find(store, id) {
        Some(body) => Reply { status: 200, body },
        None => refused(404, "invoice-not-found", "The invoice was not found"),
    }
}

fn make(store: &mut Store, body: &[u8], now_ms: i64) -> Reply {
    let new: NewInvoice = match serde_json::from_slice(body) {
        Ok(new) => new,
        Err(error) => return invalid("", &format!("This stand-in cannot read the invoice: {error}")),
    };
    let options = &new.checkout;
    let speeds = ["HighSpeed", "MediumSpeed", "LowMediumSpeed", "LowSpeed"];
    if new.amount.is_negative() {
        return invalid("amount", "The amount should be 0 or more.");
    }
    if options.speed_policy.as_deref().is_some_and(|speed| !speeds.contains(&speed)) {
        return invalid("checkout.speedPolicy", "There is no such speed policy");
    }
    if options
        .payment_tolerance
        .is_some_and(|share| share.is_sign_negative() || share > rust_decimal::Decimal::ONE_HUNDRED)
    {
        return invalid("checkout.paymentTolerance", "PaymentTolerance can only be between 0 and 100 percent");
    }
    if store.invoices().len() >= MAX_INVOICES {
        return refused(503, "full", "This stand-in is full. Stop it, delete its state file, and start it again.");
    }
    let id = store.make(new, now_ms);
    one(store, &id, |store, id| store.get(id).map(|found| store.object(found)))
}

/// The newest first.
fn list(store: &Store, query: &str) -> Reply {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    let known = ["orderId", "status", "startDate", "endDate", "includeArchived", "skip", "take"];
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        return invalid(name, "This stand-in does not model this parameter.");
    }
    let all = |wanted: &str| -> Vec<&str> {
        pairs.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).collect()
    };
    let number = |wanted: &str| all(wanted).first().and_then(|text| text.parse::<i64>().ok());
    let (orders, states) = (all("orderId"), all("status"));
    let found = store.invoices().iter().rev().filter(|invoice| {
        let order = invoice.metadata.get("orderId").and_then(Value::as_str).unwrap_or_default();
        let status = serde_json::to_value(invoice.status).unwrap_or_default();
        (orders.is_empty() || orders.contains(&order))
            && (states.is_empty() || states.iter().any(|one| status == *one))
            && number("startDate").is_none_or(|from| invoice.created >= from)
            && number("endDate").is_none_or(|to| invoice.created <= to)
    });
    let size = |wanted: &str| number(wanted).and_then(|count| usize::try_from(count).ok());
    let page = found.skip(size("skip").unwrap_or_default()).take(size("take").unwrap_or(MAX_TAKE).min(MAX_TAKE));
    Reply { status: 200, body: page.map(|invoice| store.object(invoice)).collect() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    status: Status,
}

fn mark(store: &mut Store, id: &str, body: &[u8], now_ms: i64) -> Reply {
    if store.get(id).is_none() {
        return refused(404, "invoice-not-found", "The invoice was not found");
    }
    match serde_json::from_slice::<Mark>(body) {
        Ok(Mark { status }) if store.mark(id, status, now_ms) => {
            one(store, id, |store, id| store.get(id).map(|found| store.object(found)))
        }
        _ => invalid("status", "Status can only be marked to invalid or settled within certain conditions."),
    }
}
