//! Setup intents: a payment method kept for later, without paying now.

use serde_json::{Value, json};

use super::attempts::{self, Verdict};
use super::books::Work;
use super::error::Refusal;
use super::events::tell;
use super::form::Form;
use super::methods;
use super::objects::{random_letters, text};

const CREATE: &[&str] = &[
    "confirm",
    "customer",
    "description",
    "metadata",
    "payment_method",
    "payment_method_types",
    "return_url",
    "usage",
];

/// A new intent that is not tried yet.
pub fn make(work: &mut Work, fields: Value) -> String {
    let mut intent = work.new_object("setup_intent");
    let id = text(&intent, "id").to_owned();
    intent["client_secret"] = json!(format!("{id}_secret_{}", random_letters(25)));
    work.keep(intent);
    work.set(&id, fields);
    tell(work, "setup_intent.created", &id);
    id
}

pub fn create(work: &mut Work, form: &Form) -> Result<Value, Refusal> {
    form.only(CREATE)?;
    let customer = form.text("customer");
    if let Some(customer) = customer {
        work.named("customer", customer, "customer")?;
    }
    let offer = methods::offer(form, None, true)?;
    let fields = json!({
        "allowed_payment_method_types": offer.allowed,
        "customer": customer,
        "description": form.text("description"),
        "metadata": form.metadata()?.unwrap_or_default(),
        "payment_method_types": offer.kinds,
        "usage": form.choice("usage", &["off_session", "on_session"])?.unwrap_or("off_session"),
    });
    let method = form.text("payment_method").map(|name| methods::named(work, name, "payment_method")).transpose()?;
    let id = make(work, fields);
    if let Some(method) = &method {
        work.set(&id, json!({ "payment_method": method, "status": "requires_confirmation" }));
    }
    match (form.flag("confirm")?, method) {
        (Some(true), Some(method)) => try_it(work, &id, &method, form.text("return_url")),
        (Some(true), None) => Err(Refusal::missing_parameter("payment_method")),
        _ => Ok(work.now_is(&id)),
    }
}

pub fn confirm(work: &mut Work, id: &str, form: &Form) -> Result<Value, Refusal> {
    form.only(&["payment_method", "return_url"])?;
    let intent = work.find("setup_intent", id)?;
    if work.books.private(id).session.is_some() {
        return Err(Refusal::unexpected_state(&intent, "This belongs to a checkout session; act on that."));
    }
    if matches!(text(&intent, "status"), "succeeded" | "canceled") {
        return Err(Refusal::unexpected_state(&intent, "This is over already."));
    }
    let named = form.text("payment_method").or_else(|| intent["payment_method"].as_str());
    let named = named.ok_or_else(|| Refusal::missing_parameter("payment_method"))?;
    let method = methods::named(work, named, "payment_method")?;
    try_it(work, id, &method, form.text("return_url"))
}

pub fn cancel(work: &mut Work, id: &str, form: &Form) -> Result<Value, Refusal> {
    form.only(&["cancellation_reason"])?;
    let intent = work.find("setup_intent", id)?;
    if matches!(text(&intent, "status"), "succeeded" | "canceled") {
        return Err(Refusal::unexpected_state(&intent, "This is over already."));
    }
    work.set(
        id,
        json!({ "status": "canceled", "cancellation_reason": form.text("cancellation_reason"), "next_action": null }),
    );
    tell(work, "setup_intent.canceled", id);
    Ok(work.now_is(id))
}

fn try_it(work: &mut Work, id: &str, method: &str, return_url: Option<&str>) -> Result<Value, Refusal> {
    match attempts::judge(work, method) {
        Verdict::Paid | Verdict::Later => succeed(work, id, method),
        Verdict::Asks => attempts::ask(work, id, method, return_url),
        Verdict::Declined(code) => return Err(decline(work, id, method, &code)),
    }
    Ok(work.now_is(id))
}

/// The method belongs to the customer from now on.
pub fn succeed(work: &mut Work, id: &str, method: &str) {
    let fields =
        json!({ "status": "succeeded", "payment_method": method, "next_action": null, "last_setup_error": null });
    work.set(id, fields);
    if let Some(customer) = work.now_is(id)["customer"].as_str() {
        work.set(method, json!({ "allow_redisplay": "limited" }));
        methods::give_to(work, method, customer);
    }
    tell(work, "setup_intent.succeeded", id);
}

/// The bank refused. Gives Stripe's error for it.
pub fn decline(work: &mut Work, id: &str, method: &str, decline_code: &str) -> Refusal {
    let error = Refusal::new(402, "card_error", "The card was declined.")
        .code("card_declined")
        .with("decline_code", json!(decline_code))
        .with("payment_method", work.now_is(method));
    give_back(work, id, &error);
    error.with("setup_intent", work.now_is(id))
}

/// The intent wants a payment method again, and remembers why.
pub fn give_back(work: &mut Work, id: &str, error: &Refusal) {
    let mut told = error.body()["error"].clone();
    if let Some(fields) = told.as_object_mut() {
        fields.shift_remove("request_log_url");
    }
    let fields = json!({
        "status": "requires_payment_method", "payment_method": null, "last_setup_error": told, "next_action": null
    });
    work.set(id, fields);
    tell(work, "setup_intent.setup_failed", id);
}
