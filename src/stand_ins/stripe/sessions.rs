//! Checkout sessions: what the program asks for; what the person does then is in `hosted`.

use serde_json::{Map, Value, json};

use super::books::Work;
use super::error::Refusal;
use super::events::tell;
use super::form::Form;
use super::lists::{self, Filter};
use super::objects::{number, text};
use super::{customers, intents, methods, setups};

/// Stripe's limits on how long a session is open, in seconds.
const MIN_OPEN: i64 = 30 * 60;
const MAX_OPEN: i64 = 24 * 60 * 60;
/// The clocks of two machines differ a little.
const CLOCK_SLACK: i64 = 60;
const MAX_ITEMS: usize = 100;

const CREATE: &[&str] = &[
    "adaptive_pricing",
    "allowed_payment_method_types",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "currency",
    "customer",
    "customer_creation",
    "customer_email",
    "excluded_payment_method_types",
    "expires_at",
    "line_items",
    "locale",
    "metadata",
    "mode",
    "payment_intent_data",
    "payment_method_options",
    "payment_method_types",
    "saved_payment_method_options",
    "setup_intent_data",
    "submit_type",
    "success_url",
];
const INTENT_DATA: &[&str] = &[
    "description",
    "metadata",
    "receipt_email",
    "setup_future_usage",
    "statement_descriptor",
    "statement_descriptor_suffix",
];

pub fn create(work: &mut Work, form: &Form) -> Result<Value, Refusal> {
    form.only(CREATE)?;
    let mode = form.choice("mode", &["payment", "setup"])?.ok_or_else(|| Refusal::missing_parameter("mode"))?;
    let mut session = common(work, form)?;
    session["mode"] = json!(mode);
    let intent_data = intent_data(form)?;
    let id = text(&session, "id").to_owned();
    let title = if mode == "payment" { price(&mut session, form)? } else { "Save a payment method".to_owned() };
    if mode == "setup" {
        session["payment_status"] = json!("no_payment_required");
        session["currency"] = json!(form.required("currency")?);
    }
    let kept = mode == "setup" || intent_data.get("setup_future_usage").is_some_and(Value::is_string);
    let offer = methods::offer(form, session["currency"].as_str(), kept)?;
    session["allowed_payment_method_types"] = offer.allowed;
    session["excluded_payment_method_types"] = offer.excluded;
    session["payment_method_types"] = json!(offer.kinds);
    if mode == "setup" {
        session["setup_intent"] = json!(setup(work, form, &session)?);
    }
    session["url"] = json!(format!("{}/pay/{id}", work.house.base));
    let setup_intent = session["setup_intent"].as_str().map(str::to_owned);
    work.keep(session);
    work.set_private(&id, |private| {
        private.title = title;
        private.intent_data = intent_data;
        private.intent = setup_intent.clone();
    });
    if let Some(setup_intent) = setup_intent {
        work.set_private(&setup_intent, |private| private.session = Some(id.clone()));
    }
    Ok(work.now_is(&id))
}

fn common(work: &Work, form: &Form) -> Result<Value, Refusal> {
    let mut session = work.new_object("checkout.session");
    session["success_url"] =
        json!(address(form, "success_url")?.ok_or_else(|| Refusal::missing_parameter("success_url"))?);
    session["cancel_url"] = json!(address(form, "cancel_url")?);
    for field in ["client_reference_id", "customer_email", "locale", "submit_type", "billing_address_collection"] {
        session[field] = json!(form.text(field));
    }
    let customer = form.text("customer");
    if let Some(customer) = customer {
        work.named("customer", customer, "customer")?;
        if form.text("customer_email").is_some() {
            return Err(Refusal::invalid("Send customer or customer_email, not both.").param("customer_email"));
        }
    }
    session["customer"] = json!(customer);
    let making = form.choice("customer_creation", &["always", "if_required"])?;
    session["customer_creation"] =
        if customer.is_some() { Value::Null } else { json!(making.unwrap_or("if_required")) };
    session["metadata"] = Value::Object(form.metadata()?.unwrap_or_default());
    session["expires_at"] = json!(expiry(work, form)?);
    session["payment_method_options"] = options(form)?;
    session["saved_payment_method_options"] = saved(form)?;
    Ok(session)
}

/// An absolute address that the browser may be sent to.
fn address(form: &Form, field: &str) -> Result<Option<String>, Refusal> {
    let Some(text) = form.text(field) else { return Ok(None) };
    let web = url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if web {
        Ok(Some(text.to_owned()))
    } else {
        Err(Refusal::invalid("Not a valid URL").code("url_invalid").param(field))
    }
}

fn expiry(work: &Work, form: &Form) -> Result<i64, Refusal> {
    let at = form.number("expires_at")?.unwrap_or(work.now() + MAX_OPEN);
    let open = at - work.now();
    if (MIN_OPEN - CLOCK_SLACK..=MAX_OPEN + CLOCK_SLACK).contains(&open) {
        return Ok(at);
    }
    let message = "expires_at must be between 30 minutes and 24 hours from now.";
    Err(Refusal::invalid(message).param("expires_at"))
}

/// What is said about single methods. Those that cannot be charged again must not be kept.
fn options(form: &Form) -> Result<Value, Refusal> {
    let part = form.part("payment_method_options");
    part.only(methods::KNOWN)?;
    for kind in part.names() {
        let own = part.part(kind);
        own.only(&["setup_future_usage", "client", "request_three_d_secure", "verification_method"])?;
        let usage = own.choice("setup_future_usage", &["none", "on_session", "off_session"])?;
        if usage.is_some_and(|usage| usage != "none") && !methods::is_reusable(kind) {
            let param = own.name("setup_future_usage");
            let message = format!("Methods of the type {kind} cannot be charged again: leave {param} out.");
            return Err(Refusal::invalid(message).param(&param));
        }
        if kind == "wechat_pay" && own.choice("client", &["web"])?.is_none() {
            return Err(Refusal::missing_parameter(&own.name("client")));
        }
    }
    Ok(part.as_told())
}

fn saved(form: &Form) -> Result<Value, Refusal> {
    let part = form.part("saved_payment_method_options");
    part.only(&["allow_redisplay_filters", "payment_method_save", "payment_method_remove"])?;
    if part.is_empty() {
        return Ok(Value::Null);
    }
    let filters = part.texts("allow_redisplay_filters");
    let words = ["enabled", "disabled"];
    Ok(json!({
        "allow_redisplay_filters": if filters.is_empty() { vec!["always".to_owned()] } else { filters },
        "payment_method_remove": part.choice("payment_method_remove", &words)?.unwrap_or("disabled"),
        "payment_method_save": part.choice("payment_method_save", &words)?,
    }))
}

/// What the payment intent will have.
fn intent_data(form: &Form) -> Result<Map<String, Value>, Refusal> {
    let part = form.part("payment_intent_data");
    part.only(INTENT_DATA)?;
    part.choice("setup_future_usage", &["on_session", "off_session"])?;
    let mut fields = Map::new();
    for name in INTENT_DATA.iter().filter(|name| **name != "metadata") {
        fields.insert((*name).to_owned(), json!(part.text(name)));
    }
    fields.insert("metadata".to_owned(), Value::Object(part.metadata()?.unwrap_or_default()));
    Ok(fields)
}

/// Adds up the items. Gives what the page says is bought.
fn price(session: &mut Value, form: &Form) -> Result<String, Refusal> {
    let items = form.parts("line_items");
    if items.is_empty() || items.len() > MAX_ITEMS {
        return Err(Refusal::missing_parameter("line_items"));
    }
    let (mut total, mut titles, mut currency) = (0_i64, Vec::new(), String::new());
    for item in &items {
        item.only(&["price_data", "quantity"])?;
        let data = item.part("price_data");
        data.only(&["currency", "product_data", "unit_amount"])?;
        let product = data.part("product_data");
        product.only(&["name", "description", "metadata"])?;
        titles.push(product.required("name")?.to_owned());
        let unit = data.number("unit_amount")?.ok_or_else(|| Refusal::missing_parameter(&data.name("unit_amount")))?;
        let quantity = item.number("quantity")?.ok_or_else(|| Refusal::missing_parameter(&item.name("quantity")))?;
        let own = data.required("currency")?.to_lowercase();
        if unit < 0 || quantity < 1 || !(currency.is_empty() || currency == own) {
            return Err(
                Refusal::invalid("Amounts and quantities are positive, and in one currency.").param("line_items")
            );
        }
        currency = own;
        total = unit.checked_mul(quantity).and_then(|cents| total.checked_add(cents)).unwrap_or(i64::MAX);
    }
    intents::check_amount(total, "line_items")?;
    session["amount_subtotal"] = json!(total);
    session["amount_total"] = json!(total);
    session["currency"] = json!(currency);
    session["total_details"] = json!({ "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 });
    Ok(titles.join(", "))
}

fn setup(work: &mut Work, form: &Form, session: &Value) -> Result<String, Refusal> {
    if form.has("line_items") {
        return Err(Refusal::invalid("Nothing is bought in setup mode: leave line_items out.").param("line_items"));
    }
    let part = form.part("setup_intent_data");
    part.only(&["description", "metadata"])?;
    let fields = json!({
        "customer": session["customer"],
        "description": part.text("description"),
        "metadata": part.metadata()?.unwrap_or_default(),
        "allowed_payment_method_types": session["allowed_payment_method_types"],
        "payment_method_types": session["payment_method_types"],
    });
    Ok(setups::make(work, fields))
}

/// Ends sessions whose time is over. Called before every request, so nobody sees one open for too long.
pub fn expire_due(work: &mut Work) {
    let now = work.now();
    let due = work.books.all("checkout.session");
    let due = due.filter(|session| session["status"] == "open" && number(session, "expires_at") <= now);
    let due: Vec<String> = due.map(|session| text(session, "id").to_owned()).collect();
    for id in due {
        end(work, &id);
    }
}

fn end(work: &mut Work, id: &str) {
    work.set(id, json!({ "status": "expired", "url": null }));
    if let Some(intent) = work.books.private(id).intent.filter(|intent| intent.starts_with("pi_")) {
        intents::give_up(work, &intent, Some("automatic"));
    }
    tell(work, "checkout.session.expired", id);
}

/// A session that waits for its person.
pub fn open(work: &Work, id: &str) -> Result<Value, Refusal> {
    let session = work.find("checkout.session", id)?;
    if session["status"] == "open" {
        return Ok(session);
    }
    Err(Refusal::invalid(format!("This checkout session is {}, not open.", text(&session, "status"))))
}

pub fn expire(work: &mut Work, id: &str, form: &Form) -> Result<Value, Refusal> {
    form.only(&[])?;
    open(work, id)?;
    end(work, id);
    Ok(work.now_is(id))
}

pub fn list(work: &Work, form: &Form) -> Result<Value, Refusal> {
    form.only(&lists::with_paging(&["customer", "payment_intent", "status"]))?;
    // Also by an intent that the session does not tell yet: its payment failed, and the person may try again.
    let also = |session: &Value| {
        form.text("payment_intent")
            .is_none_or(|intent| work.books.private(text(session, "id")).intent.as_deref() == Some(intent))
    };
    let filter = Filter { equal: &["customer", "status"], also: &also };
    lists::list(work, form, "checkout.session", "/v1/checkout/sessions", &filter)
}

/// The session's customer; a new one if it has to have one and has none.
pub fn customer(work: &mut Work, session: &Value, email: &str) -> Option<String> {
    if let Some(customer) = session["customer"].as_str() {
        return Some(customer.to_owned());
    }
    let data = work.books.private(text(session, "id")).intent_data;
    let kept = data.get("setup_future_usage").is_some_and(Value::is_string) || session["mode"] == "setup";
    if session["customer_creation"] != "always" && !kept {
        return None;
    }
    let customer = customers::make(work);
    work.set(&customer, json!({ "email": email }));
    work.set(text(session, "id"), json!({ "customer": customer }));
    tell(work, "customer.created", &customer);
    Some(customer)
}

/// The person is done here.
pub fn complete(work: &mut Work, id: &str, paid: bool, email: &str) {
    let session = work.now_is(id);
    let intent = work.books.private(id).intent;
    let status = match (text(&session, "mode"), paid) {
        ("setup", _) => "no_payment_required",
        (_, true) => "paid",
        (_, false) => "unpaid",
    };
    let no_address =
        json!({ "city": null, "country": "US", "line1": null, "line2": null, "postal_code": null, "state": null });
    let details = json!({
        "address": no_address, "email": email, "name": null, "phone": null, "tax_exempt": "none", "tax_ids": [],
        "business_name": null, "individual_name": null,
    });
    let fields = json!({ "status": "complete", "payment_status": status, "url": null, "customer_details": details });
    work.set(id, fields);
    if session["mode"] == "payment" {
        work.set(id, json!({ "payment_intent": intent }));
    }
    tell(work, "checkout.session.completed", id);
}

/// Money that was on its way to a session has come, or has not.
pub fn settled(work: &mut Work, intent: &str, came: bool) {
    let Some(id) = work.books.private(intent).session else { return };
    if came {
        work.set(&id, json!({ "payment_status": "paid" }));
    }
    let kind = if came { "checkout.session.async_payment_succeeded" } else { "checkout.session.async_payment_failed" };
    tell(work, kind, &id);
}
