//! The stand-ins of other companies are as the companies are.

mod rails;
mod shop;
mod stripe_faults;
mod stripe_pages;
mod stripe_sdk;
mod stripe_shapes;
mod stripe_types;
mod stripe_webhooks;

use std::path::PathBuf;

use farebox::stand_ins::stripe::{StripeOptions, StripeStandIn};
use serde_json::Value;

use crate::support::http::client;

pub const KEY: &str = "sk_test_standin_8121";
pub const SECRET: &str = "whsec_standin_8121";

pub fn options(state_file: Option<PathBuf>) -> StripeOptions {
    StripeOptions {
        secret_key: KEY.to_owned(),
        webhook_url: None,
        webhook_secrets: vec![SECRET.to_owned()],
        state_file,
        account: "acct_1StandIn".to_owned(),
        livemode: false,
    }
}

pub async fn start() -> StripeStandIn {
    StripeStandIn::start(([127, 0, 0, 1], 0).into(), options(None)).await.expect("a stand-in")
}

/// An answer: its status, whether it is an earlier one, and its body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub replayed: bool,
    pub body: Value,
}

impl Answer {
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("an id in {}", self.body)).to_owned()
    }
}

/// Asks the API as a program without a library would.
pub async fn call(stripe: &StripeStandIn, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    call_with_key(stripe, method, path, fields, None).await
}

pub async fn call_with_key(
    stripe: &StripeStandIn,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    key: Option<&str>,
) -> Answer {
    let mut url = stripe.url().join(path).expect("an address");
    if method == "GET" && !fields.is_empty() {
        url.query_pairs_mut().extend_pairs(fields);
    }
    let mut request = client().request(method.parse().expect("a method"), url).bearer_auth(KEY);
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    if method != "GET" {
        request = request.form(fields);
    }
    let answer = request.send().await.expect("an answer");
    Answer {
        status: answer.status().as_u16(),
        replayed: answer.headers().contains_key("Idempotent-Replayed"),
        body: answer.json().await.expect("JSON"),
    }
}

/// What every session in these tests asks for.
pub const SESSION: &[(&str, &str)] = &[
    ("mode", "payment"),
    ("success_url", "http://127.0.0.1:1/done?session={CHECKOUT_SESSION_ID}"),
    ("cancel_url", "http://127.0.0.1:1/back"),
    ("line_items[0][quantity]", "1"),
    ("line_items[0][price_data][currency]", "usd"),
    ("line_items[0][price_data][unit_amount]", "2110"),
    ("line_items[0][price_data][product_data][name]", "Credits"),
];

/// A new session that takes this method.
pub async fn session(stripe: &StripeStandIn, kind: &str, more: &[(&str, &str)]) -> String {
    let fields: Vec<(&str, &str)> =
        SESSION.iter().chain(more).copied().chain([("allowed_payment_method_types[0]", kind)]).collect();
    let answer = call(stripe, "POST", "/v1/checkout/sessions", &fields).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.id()
}
