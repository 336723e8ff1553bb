//! Payment methods: what they look like, who they belong to, and how charging them ends.

use serde_json::{Value, json};

use super::books::{Temper, Work};
use super::error::Refusal;
use super::form::Form;
use super::lists::{self, Filter};
use super::objects::text;

/// The methods that the stand-in knows.
pub const KNOWN: &[&str] = &["card", "us_bank_account", "cashapp", "amazon_pay", "alipay", "wechat_pay"];
/// Those whose money comes days later, or does not.
const LATER: &[&str] = &["us_bank_account"];
/// Those that can be charged again without the person.
const REUSABLE: &[&str] = &["card", "us_bank_account", "cashapp", "amazon_pay"];

pub fn is_later(kind: &str) -> bool {
    LATER.contains(&kind)
}

pub fn is_reusable(kind: &str) -> bool {
    REUSABLE.contains(&kind)
}

/// Those that take dollars only.
const DOLLARS: &[&str] = &["us_bank_account", "cashapp", "amazon_pay"];

/// Which methods a request wants, and which of them it gets.
#[derive(Debug, PartialEq)]
pub struct Offer {
    /// As `allowed_payment_method_types` says; null for all.
    pub allowed: Value,
    pub excluded: Value,
    /// Those that fit.
    pub kinds: Vec<String>,
}

/// The methods that fit a request. What does not fit its currency, or cannot be kept where the request wants that, is left
/// out without a word, as at Stripe; all methods of the stand-in count as turned on in its dashboard.
pub fn offer(form: &Form, currency: Option<&str>, kept: bool) -> Result<Offer, Refusal> {
    if form.has("payment_method_types") {
        let message =
            "payment_method_types is gone since the API version 2026-09-30.endive: send allowed_payment_method_types.";
        let refusal = Refusal::invalid(message).code("payment_method_types_no_longer_supported");
        return Err(refusal.param("payment_method_types"));
    }
    let (allowed, excluded) = (form.texts("allowed_payment_method_types"), form.texts("excluded_payment_method_types"));
    if let Some(unknown) = allowed.iter().chain(&excluded).find(|kind| !KNOWN.contains(&kind.as_str())) {
        let message = format!("The payment method type '{unknown}' is not known to this stand-in.");
        return Err(Refusal::invalid(message).param("allowed_payment_method_types"));
    }
    let exclusive = ["allowed_payment_method_types", "excluded_payment_method_types", "automatic_payment_methods"];
    if !allowed.is_empty() && exclusive.iter().filter(|name| form.has(name)).count() > 1 {
        let message = "allowed_payment_method_types goes neither with excluded_payment_method_types nor with automatic_payment_methods.";
        return Err(Refusal::invalid(message).param("allowed_payment_method_types"));
    }
    let wanted: Vec<String> =
        if allowed.is_empty() { KNOWN.iter().map(|kind| (*kind).to_owned()).collect() } else { allowed.clone() };
    let fits = |kind: &str| {
        let currency = currency.is_none_or(|currency| currency == "usd" || !DOLLARS.contains(&kind));
        currency && (!kept || is_reusable(kind)) && !excluded.iter().any(|one| one == kind)
    };
    let kinds: Vec<String> = wanted.into_iter().filter(|kind| fits(kind)).collect();
    if kinds.is_empty() {
        let message = "None of the payment methods fits the currency and the rest of the request.";
        return Err(Refusal::invalid(message).param("allowed_payment_method_types"));
    }
    let told = |list: Vec<String>| if list.is_empty() { Value::Null } else { json!(list) };
    Ok(Offer { allowed: told(allowed), excluded: told(excluded), kinds })
}

/// Stripe's names for test methods: brand or kind, last digits, how charging ends.
fn test_method(name: &str) -> Option<(&'static str, &'static str, Temper)> {
    let declines = |code: &str| Temper::Declines(code.to_owned());
    Some(match name {
        "pm_card_visa" => ("visa", "4242", Temper::Good),
        "pm_card_mastercard" => ("mastercard", "4444", Temper::Good),
        "pm_card_visa_chargeDeclined" => ("visa", "0002", declines("generic_decline")),
        "pm_card_visa_chargeDeclinedInsufficientFunds" => ("visa", "9995", declines("insufficient_funds")),
        "pm_card_chargeCustomerFail" => ("visa", "0341", declines("generic_decline")),
        "pm_card_authenticationRequired" => ("visa", "3184", Temper::Authenticates),
        "pm_usBankAccount_success" => ("us_bank_account", "6789", Temper::Good),
        _ => return None,
    })
}

/// A new method of a kind, such as the hosted page makes of what was typed.
pub fn make(work: &mut Work, kind: &str) -> String {
    match kind {
        "card" => card(work, "visa", "4242", Temper::Good),
        other => make_kind(work, other),
    }
}

fn card(work: &mut Work, brand: &str, last4: &str, temper: Temper) -> String {
    let mut method = work.new_object("payment_method");
    method["type"] = json!("card");
    method["card"] = json!({
        "brand": brand,
        "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
        "country": "US", "display_brand": brand, "exp_month": 12, "exp_year": 2034,
        "fingerprint": format!("standin{brand}{last4}"), "funding": "credit", "generated_from": null,
        "last4": last4, "networks": { "available": [brand], "preferred": null },
        "regulated_status": "unregulated", "three_d_secure_usage": { "supported": true }, "wallet": null,
    });
    let id = work.keep(method);
    work.set_private(&id, |private| private.temper = temper);
    id
}

fn make_kind(work: &mut Work, kind: &str) -> String {
    let mut method = work.new_object("payment_method");
    method["type"] = json!(kind);
    method[kind] = match kind {
        "us_bank_account" => json!({
            "account_holder_type": "individual", "account_type": "checking", "bank_name": "STRIPE TEST BANK",
            "financial_connections_account": null, "fingerprint": "standinbank6789", "last4": "6789",
            "networks": { "preferred": "ach", "supported": ["ach"] }, "routing_number": "110000000",
            "status_details": {},
        }),
        "cashapp" => json!({ "buyer_id": "buyer_standin", "cashtag": "$standin" }),
        _ => json!({}),
    };
    work.keep(method)
}

/// The method that a parameter names; a test name makes a new one, as at Stripe.
pub fn named(work: &mut Work, name: &str, param: &str) -> Result<String, Refusal> {
    match test_method(name) {
        Some(("us_bank_account", _, _)) => Ok(make(work, "us_bank_account")),
        Some((brand, last4, temper)) => Ok(card(work, brand, last4, temper)),
        None => work.named("payment_method", name, param).map(|method| text(&method, "id").to_owned()),
    }
}

pub fn attach(work: &mut Work, name: &str, form: &Form) -> Result<Value, Refusal> {
    form.only(&["customer"])?;
    let customer = form.required("customer")?;
    work.named("customer", customer, "customer")?;
    let id = named(work, name, "payment_method")?;
    let owner = work.now_is(&id)["customer"].clone();
    if owner.as_str().is_some_and(|owner| owner != customer) {
        let message = "The payment method belongs to another customer. Detach it there first.";
        return Err(Refusal::invalid(message).code("payment_method_unexpected_state"));
    }
    give_to(work, &id, customer);
    Ok(work.now_is(&id))
}

/// The customer has it from now on.
pub fn give_to(work: &mut Work, id: &str, customer: &str) {
    if work.now_is(id)["customer"] != customer {
        work.set(id, json!({ "customer": customer }));
        super::events::tell(work, "payment_method.attached", id);
    }
}

pub fn detach(work: &mut Work, id: &str) -> Result<Value, Refusal> {
    let method = work.find("payment_method", id)?;
    if method["customer"].is_null() {
        let message = "The payment method belongs to no customer, so it cannot be detached.";
        return Err(Refusal::invalid(message).code("payment_method_unexpected_state"));
    }
    work.set(id, json!({ "customer": null }));
    super::events::tell(work, "payment_method.detached", id);
    Ok(work.now_is(id))
}

pub fn of_customer(work: &Work, customer: &str) -> Vec<String> {
    let own = work.books.all("payment_method").filter(|method| text(method, "customer") == customer);
    own.map(|method| text(method, "id").to_owned()).collect()
}

/// Only methods of a customer are listed, as at Stripe.
pub fn list(work: &Work, customer: &str, param: Option<&str>, form: &Form, url: &str) -> Result<Value, Refusal> {
    form.only(&lists::with_paging(&["customer", "type", "allow_redisplay"]))?;
    match param {
        Some(param) => work.named("customer", customer, param)?,
        None => work.find("customer", customer)?,
    };
    let filter = Filter { equal: &["type", "allow_redisplay"], also: &|method| text(method, "customer") == customer };
    lists::list(work, form, "payment_method", url, &filter)
}

/// What a charge tells of the method that it was paid with.
pub fn details(method: &Value) -> Value {
    let kind = text(method, "type");
    let shown = match kind {
        "card" => {
            let card = &method["card"];
            json!({
                "amount_authorized": null, "authorization_code": null, "brand": card["brand"], "checks": card["checks"],
                "country": card["country"], "exp_month": card["exp_month"], "exp_year": card["exp_year"],
                "extended_authorization": { "status": "disabled" }, "fingerprint": card["fingerprint"],
                "funding": card["funding"], "incremental_authorization": { "status": "unavailable" },
                "installments": null, "last4": card["last4"], "mandate": null,
                "multicapture": { "status": "unavailable" }, "network": card["brand"],
                "network_token": { "used": false }, "network_transaction_id": null,
                "overcapture": { "maximum_amount_capturable": 0, "status": "unavailable" },
                "regulated_status": "unregulated", "three_d_secure": null, "transaction_link_id": null, "wallet": null,
            })
        }
        "us_bank_account" => {
            let bank = &method[kind];
            json!({
                "account_holder_type": bank["account_holder_type"], "account_type": bank["account_type"],
                "bank_name": bank["bank_name"], "expected_debit_date": null, "fingerprint": bank["fingerprint"],
                "last4": bank["last4"], "mandate": null, "payment_reference": null,
                "routing_number": bank["routing_number"],
            })
        }
        "cashapp" => {
            json!({ "buyer_id": method[kind]["buyer_id"], "cashtag": method[kind]["cashtag"], "transaction_id": null })
        }
        "amazon_pay" => json!({ "funding": { "card": null, "type": null }, "transaction_id": null }),
        "wechat_pay" => json!({ "fingerprint": null, "location": null, "reader": null, "transaction_id": null }),
        _ => json!({ "buyer_id": null, "fingerprint": null, "transaction_id": null }),
    };
    json!({ "type": kind, kind: shown })
}
