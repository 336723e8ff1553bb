//! Payment intents: one wish to be paid, tried until it succeeds or is given up.

use serde_json::{Map, Value, json};

use super::attempts::{self, Verdict};
use super::books::Work;
use super::error::Refusal;
use super::events::tell;
use super::form::Form;
use super::lists::{self, Filter};
use super::methods;
use super::objects::{number, random_letters, text};

/// Stripe's smallest and largest charge in dollars, as cents.
const MIN_CENTS: i64 = 50;
const MAX_CENTS: i64 = 99_999_999;

const CREATE: &[&str] = &[
    "allowed_payment_method_types",
    "amount",
    "currency",
    "automatic_payment_methods",
    "confirm",
    "customer",
    "description",
    "error_on_requires_action",
    "excluded_payment_method_types",
    "metadata",
    "off_session",
    "payment_method",
    "payment_method_options",
    "payment_method_types",
    "receipt_email",
    "return_url",
    "setup_future_usage",
    "statement_descriptor",
    "statement_descriptor_suffix",
];
const CONFIRM: &[&str] = &["error_on_requires_action", "off_session", "payment_method", "return_url"];

/// Refuses what Stripe would never charge.
pub fn check_amount(cents: i64, param: &str) -> Result<(), Refusal> {
    if cents < MIN_CENTS {
        return Err(Refusal::invalid("The amount must be at least $0.50.").code("amount_too_small").param(param));
    }
    if cents > MAX_CENTS {
        return Err(Refusal::invalid("The amount must be at most $999,999.99.").code("amount_too_large").param(param));
    }
    Ok(())
}

/// A new intent that is not tried yet.
pub fn make(work: &mut Work, fields: Value) -> String {
    let mut intent = work.new_object("payment_intent");
    let id = text(&intent, "id").to_owned();
    intent["client_secret"] = json!(format!("{id}_secret_{}", random_letters(25)));
    work.keep(intent);
    work.set(&id, fields);
    tell(work, "payment_intent.created", &id);
    id
}

pub fn create(work: &mut Work, form: &Form) -> Result<Value, Refusal> {
    form.only(CREATE)?;
    let amount = form.number("amount")?.ok_or_else(|| Refusal::missing_parameter("amount"))?;
    check_amount(amount, "amount")?;
    let confirm = form.flag("confirm")?.unwrap_or(false);
    let mut fields = described(work, form)?;
    fields["amount"] = json!(amount);
    fields["currency"] = json!(form.required("currency")?);
    let kept = fields["setup_future_usage"].is_string();
    let offer = methods::offer(form, form.text("currency"), kept)?;
    let leads_away = automatic(form, &mut fields, &offer)?;
    fields["allowed_payment_method_types"] = offer.allowed;
    fields["excluded_payment_method_types"] = offer.excluded;
    fields["payment_method_types"] = json!(offer.kinds);
    if !confirm && form.has("off_session") {
        return Err(Refusal::invalid("off_session needs confirm=true.").param("off_session"));
    }
    if confirm && leads_away && !off_session(form)? && form.text("return_url").is_none() {
        let message = "Some of the payment methods lead elsewhere. Send return_url, or allow only methods that do not.";
        return Err(Refusal::invalid(message).param("return_url"));
    }
    let method = form.text("payment_method").map(|name| usable(work, name, &fields)).transpose()?;
    if confirm && method.is_none() {
        return Err(Refusal::missing_parameter("payment_method"));
    }
    if let Some(method) = &method {
        fields["payment_method"] = json!(method);
        fields["status"] = json!("requires_confirmation");
    }
    let id = make(work, fields);
    match method {
        Some(method) if confirm => try_it(work, &id, &method, form),
        _ => Ok(work.now_is(&id)),
    }
}

/// Whether Stripe chooses the methods, which it does unless the request names some. Gives whether one of them leads to
/// another page.
fn automatic(form: &Form, fields: &mut Value, offer: &methods::Offer) -> Result<bool, Refusal> {
    let part = form.part("automatic_payment_methods");
    part.only(&["enabled", "allow_redirects"])?;
    let redirects = part.choice("allow_redirects", &["always", "never"])?.unwrap_or("always");
    if offer.allowed.is_null() && part.flag("enabled")? != Some(false) {
        fields["automatic_payment_methods"] = json!({ "allow_redirects": redirects, "enabled": true });
    }
    let lead_away = offer.kinds.iter().any(|kind| !matches!(kind.as_str(), "card" | "us_bank_account"));
    Ok(redirects == "always" && lead_away)
}

fn described(work: &Work, form: &Form) -> Result<Value, Refusal> {
    let mut fields = Map::new();
    for name in ["description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix"] {
        fields.insert(name.to_owned(), json!(form.text(name)));
    }
    if let Some(customer) = form.text("customer") {
        work.named("customer", customer, "customer")?;
        fields.insert("customer".to_owned(), json!(customer));
    }
    let usage = form.choice("setup_future_usage", &["off_session", "on_session"])?;
    fields.insert("setup_future_usage".to_owned(), json!(usage));
    fields.insert("payment_method_options".to_owned(), form.part("payment_method_options").as_told());
    fields.insert("metadata".to_owned(), Value::Object(form.metadata()?.unwrap_or_default()));
    Ok(Value::Object(fields))
}

/// A method that may pay an intent of this customer.
fn usable(work: &mut Work, name: &str, intent: &Value) -> Result<String, Refusal> {
    let id = methods::named(work, name, "payment_method")?;
    let method = work.now_is(&id);
    let (owner, customer) = (method["customer"].as_str(), intent["customer"].as_str());
    if owner.is_some() && owner != customer {
        let message = "The payment method belongs to another customer: send that one as customer.";
        return Err(Refusal::invalid(message).param("payment_method"));
    }
    let kind = text(&method, "type");
    let allowed = intent["payment_method_types"].as_array();
    if !allowed.is_some_and(|types| types.iter().any(|one| one == kind)) {
        let message =
            format!("The payment does not allow methods of the type {kind}. Add it to allowed_payment_method_types.");
        return Err(Refusal::invalid(message).param("payment_method"));
    }
    Ok(id)
}

fn off_session(form: &Form) -> Result<bool, Refusal> {
    match form.text("off_session") {
        // Old ways to say that a charge recurs.
        Some("one_off" | "recurring") => Ok(true),
        _ => Ok(form.flag("off_session")?.unwrap_or(false)),
    }
}

/// Without the card holder, a bank that asks for them declines: 402 `authentication_required`, and the intent wants a
/// payment method again. With them, the intent waits in `requires_action`.
fn try_it(work: &mut Work, id: &str, method: &str, form: &Form) -> Result<Value, Refusal> {
    match attempts::judge(work, method) {
        Verdict::Paid => attempts::pay(work, id, method),
        Verdict::Later => attempts::start_later(work, id, method),
        Verdict::Declined(code) => return Err(attempts::decline(work, id, method, &code)),
        Verdict::Asks if off_session(form)? || form.flag("error_on_requires_action")? == Some(true) => {
            return Err(attempts::decline(work, id, method, "authentication_required"));
        }
        Verdict::Asks => attempts::ask(work, id, method, form.text("return_url")),
    }
    Ok(work.now_is(id))
}

/// An intent that a program may still change itself.
fn own(work: &Work, id: &str, states: &[&str]) -> Result<Value, Refusal> {
    let intent = work.find("payment_intent", id)?;
    if work.books.private(id).session.is_some() {
        return Err(Refusal::unexpected_state(&intent, "This payment belongs to a checkout session; act on that."));
    }
    let status = text(&intent, "status");
    if states.contains(&status) {
        return Ok(intent);
    }
    let message = format!("This payment is {status}; for this it has to be one of {}.", states.join(", "));
    Err(Refusal::unexpected_state(&intent, message))
}

pub fn confirm(work: &mut Work, id: &str, form: &Form) -> Result<Value, Refusal> {
    form.only(CONFIRM)?;
    let intent = own(work, id, &["requires_payment_method", "requires_confirmation", "requires_action"])?;
    let method = match form.text("payment_method").or_else(|| intent["payment_method"].as_str()) {
        Some(name) => usable(work, name, &intent)?,
        None => return Err(Refusal::missing_parameter("payment_method")),
    };
    try_it(work, id, &method, form)
}

pub fn cancel(work: &mut Work, id: &str, form: &Form) -> Result<Value, Refusal> {
    form.only(&["cancellation_reason"])?;
    let reasons = ["duplicate", "fraudulent", "requested_by_customer", "abandoned"];
    let reason = form.choice("cancellation_reason", &reasons)?;
    own(work, id, &["requires_payment_method", "requires_confirmation", "requires_action"])?;
    give_up(work, id, reason);
    Ok(work.now_is(id))
}

/// Nobody will pay this any more.
pub fn give_up(work: &mut Work, id: &str, reason: Option<&str>) {
    let now = work.now();
    let fields =
        json!({ "status": "canceled", "canceled_at": now, "cancellation_reason": reason, "next_action": null });
    work.set(id, fields);
    tell(work, "payment_intent.canceled", id);
}

pub fn update(work: &mut Work, id: &str, form: &Form) -> Result<Value, Refusal> {
    form.only(&["metadata", "description"])?;
    let intent = work.find("payment_intent", id)?;
    if let Some(metadata) = form.metadata()? {
        let merged = super::customers::merged(&intent["metadata"], &Value::Object(metadata));
        work.set(id, json!({ "metadata": merged }));
    }
    if form.has("description") {
        work.set(id, json!({ "description": form.text("description") }));
    }
    Ok(work.now_is(id))
}

pub fn list(work: &Work, form: &Form) -> Result<Value, Refusal> {
    form.only(&lists::with_paging(&["customer"]))?;
    let filter = Filter { equal: &["customer"], also: &|_| true };
    lists::list(work, form, "payment_intent", "/v1/payment_intents", &filter)
}

pub fn list_charges(work: &Work, form: &Form) -> Result<Value, Refusal> {
    form.only(&lists::with_paging(&["customer", "payment_intent"]))?;
    let filter = Filter { equal: &["customer", "payment_intent"], also: &|_| true };
    lists::list(work, form, "charge", "/v1/charges", &filter)
}

/// The charge that paid an intent or is on the way.
pub fn latest_charge(work: &Work, intent: &str, param: Option<&str>) -> Result<Value, Refusal> {
    let intent = match param {
        Some(param) => work.named("payment_intent", intent, param)?,
        None => work.find("payment_intent", intent)?,
    };
    let charge =
        intent["latest_charge"].as_str().map(|id| work.now_is(id)).filter(|charge| number(charge, "amount") > 0);
    charge.ok_or_else(|| Refusal::unexpected_state(&intent, "This payment has no charge yet."))
}
