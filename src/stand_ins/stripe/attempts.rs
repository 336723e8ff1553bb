//! One try to charge a payment method for a payment intent, and how it ends.

use serde_json::{Value, json};

use super::books::{Temper, Work};
use super::error::Refusal;
use super::events::tell;
use super::methods;
use super::objects::{number, random_letters, text};

/// How a try ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Paid,
    /// The money is on its way; somebody settles it later.
    Later,
    /// With this decline code.
    Declined(String),
    /// The bank wants to ask the card holder.
    Asks,
}

/// What the switches and the method itself make of a try.
pub fn judge(work: &mut Work, method: &str) -> Verdict {
    let kind = work.now_is(method);
    let is_card = text(&kind, "type") == "card";
    if work.books.switches.declines() {
        return Verdict::Declined(work.books.switches.decline_code.clone());
    }
    if is_card && work.books.switches.authenticates() {
        return Verdict::Asks;
    }
    match work.books.private(method).temper {
        Temper::Declines(code) => Verdict::Declined(code),
        Temper::Authenticates => Verdict::Asks,
        Temper::Good if methods::is_later(text(&kind, "type")) => Verdict::Later,
        Temper::Good => Verdict::Paid,
    }
}

/// The whole amount is paid at once.
pub fn pay(work: &mut Work, intent: &str, method: &str) {
    let charge = charge(work, intent, method, "succeeded");
    receive(work, intent, &charge);
    save(work, intent, method);
}

/// The money of a charge has come.
fn receive(work: &mut Work, intent: &str, charge: &str) {
    let row = work.now_is(charge);
    let amount = number(&row, "amount");
    let moved = work.move_balance(amount, "charge", "charge", charge, text(&row, "currency"));
    work.set(
        charge,
        json!({
            "status": "succeeded", "paid": true, "captured": true, "amount_captured": amount,
            "balance_transaction": moved,
            "receipt_url": format!("{}/receipts/{charge}", work.house.base),
            "outcome": outcome("authorized", "approved_by_network", None, "Payment complete."),
        }),
    );
    work.set(
        intent,
        json!({
            "status": "succeeded", "amount_received": amount, "latest_charge": charge,
            "payment_method": row["payment_method"], "last_payment_error": null, "next_action": null, "processing": null,
        }),
    );
    tell(work, "charge.succeeded", charge);
    tell(work, "payment_intent.succeeded", intent);
}

/// The money is on its way.
pub fn start_later(work: &mut Work, intent: &str, method: &str) {
    let charge = charge(work, intent, method, "pending");
    let details = work.now_is(&charge);
    let moved = json!({
        "status": "processing", "latest_charge": charge, "payment_method": method, "last_payment_error": null,
        "next_action": null, "processing": { "type": text(&details["payment_method_details"], "type") },
    });
    work.set(intent, moved);
    tell(work, "charge.pending", &charge);
    tell(work, "payment_intent.processing", intent);
    save(work, intent, method);
}

/// What was on its way has come, or has not.
pub fn settle(work: &mut Work, intent: &str, came: bool) -> Result<(), Refusal> {
    let before = work.find("payment_intent", intent)?;
    if before["status"] != "processing" {
        return Err(Refusal::unexpected_state(&before, "Only a payment that is processing can be settled."));
    }
    let charge = text(&before, "latest_charge").to_owned();
    if came {
        receive(work, intent, &charge);
    } else {
        fail(work, intent, &charge, "generic_decline", "payment_intent_payment_attempt_failed");
    }
    super::sessions::settled(work, intent, came);
    Ok(())
}

/// The charge was refused. Gives Stripe's error for it.
pub fn decline(work: &mut Work, intent: &str, method: &str, decline_code: &str) -> Refusal {
    let code = if decline_code == "authentication_required" { decline_code } else { "card_declined" };
    let charge = charge(work, intent, method, "failed");
    fail(work, intent, &charge, decline_code, code)
}

fn fail(work: &mut Work, intent: &str, charge: &str, decline_code: &str, code: &str) -> Refusal {
    let message = message(decline_code);
    work.set(
        charge,
        json!({
            "status": "failed", "paid": false, "captured": false, "failure_code": code, "failure_message": message,
            "outcome": outcome("issuer_declined", "declined_by_network", Some(decline_code), message),
        }),
    );
    let method = link_method(work, charge);
    let error = Refusal::new(402, "card_error", message)
        .code(code)
        .with("charge", json!(charge))
        .with("decline_code", json!(decline_code))
        .with("payment_method", method);
    give_back(work, intent, &error, Some(charge));
    tell(work, "charge.failed", charge);
    tell(work, "payment_intent.payment_failed", intent);
    error.with("payment_intent", work.now_is(intent))
}

/// The intent wants a payment method again, and remembers why.
pub fn give_back(work: &mut Work, intent: &str, error: &Refusal, charge: Option<&str>) {
    let mut told = error.body()["error"].clone();
    if let Some(fields) = told.as_object_mut() {
        fields.shift_remove("request_log_url");
    }
    let latest = charge.map_or_else(|| work.now_is(intent)["latest_charge"].clone(), |charge| json!(charge));
    work.set(
        intent,
        json!({
            "status": "requires_payment_method", "payment_method": null, "last_payment_error": told,
            "latest_charge": latest, "next_action": null, "processing": null,
        }),
    );
}

fn link_method(work: &Work, charge: &str) -> Value {
    let method = work.now_is(charge)["payment_method"].clone();
    method.as_str().map(|id| work.now_is(id)).unwrap_or_default()
}

fn message(decline_code: &str) -> &'static str {
    match decline_code {
        "insufficient_funds" => "The card has too little money.",
        "authentication_required" => "The card holder has to confirm this payment at their bank.",
        "expired_card" => "The card has expired.",
        _ => "The payment was declined.",
    }
}

fn outcome(status: &str, network: &str, reason: Option<&str>, message: &str) -> Value {
    json!({
        "advice_code": null, "network_advice_code": null, "network_decline_code": null, "network_status": network,
        "reason": reason, "risk_level": "normal", "risk_score": 12, "seller_message": message, "type": status,
    })
}

/// A charge for the whole amount of an intent. It has the intent's metadata as they are now.
fn charge(work: &mut Work, intent: &str, method: &str, status: &str) -> String {
    let from = work.now_is(intent);
    let paid_with = work.now_is(method);
    let mut charge = work.new_object("charge");
    let id = text(&charge, "id").to_owned();
    let copied = ["amount", "currency", "customer", "description", "metadata", "receipt_email", "statement_descriptor"];
    for field in copied.into_iter().chain(["statement_descriptor_suffix"]) {
        charge[field] = from[field].clone();
    }
    charge["calculated_statement_descriptor"] = json!("STAND-IN");
    charge["payment_intent"] = json!(intent);
    charge["payment_method"] = json!(method);
    charge["payment_method_details"] = methods::details(&paid_with);
    charge["billing_details"] = paid_with["billing_details"].clone();
    charge["refunds"]["url"] = json!(format!("/v1/charges/{id}/refunds"));
    charge["status"] = json!(status);
    charge["outcome"] = outcome("authorized", "approved_by_network", None, "Payment pending.");
    work.keep(charge)
}

/// Keeps the method for the customer, if the intent says so.
fn save(work: &mut Work, intent: &str, method: &str) {
    let intent = work.now_is(intent);
    let (Some(customer), true) = (intent["customer"].as_str(), keeps(&work.now_is(method), &intent)) else { return };
    if work.now_is(method)["allow_redisplay"] == "unspecified" {
        work.set(method, json!({ "allow_redisplay": "limited" }));
    }
    methods::give_to(work, method, customer);
}

/// Whether a method that pays this intent is kept: said for all methods, or for this kind.
fn keeps(method: &Value, intent: &Value) -> bool {
    let own = &intent["payment_method_options"][text(method, "type")]["setup_future_usage"];
    let wish = if own.is_null() { &intent["setup_future_usage"] } else { own };
    wish.as_str().is_some_and(|wish| wish != "none")
}

/// Sends the person to their bank. `return_url` is where they come back; without it a program would have to ask.
pub fn ask(work: &mut Work, intent: &str, method: &str, return_url: Option<&str>) {
    let kind = text(&work.now_is(intent), "object").to_owned();
    let action = match return_url {
        Some(return_url) => json!({
            "type": "redirect_to_url",
            "redirect_to_url": { "return_url": return_url, "url": format!("{}/authenticate/{intent}", work.house.base) },
        }),
        None => {
            json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "source": format!("src_{}", random_letters(24)) } })
        }
    };
    work.set(intent, json!({ "status": "requires_action", "next_action": action, "payment_method": method }));
    work.set_private(intent, |private| {
        private.method = Some(method.to_owned());
        private.return_url = return_url.map(str::to_owned);
    });
    tell(work, &format!("{kind}.requires_action"), intent);
}
