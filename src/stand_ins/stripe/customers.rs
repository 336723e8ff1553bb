//! Customers, and what belongs to the account: itself and its balance.

use serde_json::{Value, json};

use super::books::Work;
use super::error::Refusal;
use super::form::Form;
use super::lists::{self, Filter};
use super::objects::{blank, random_letters};

const TEXTS: &[&str] = &["name", "email", "phone", "description"];

pub fn create(work: &mut Work, form: &Form) -> Result<Value, Refusal> {
    let fields = fields(work, form)?;
    let id = make(work);
    work.set(&id, fields);
    super::events::tell(work, "customer.created", &id);
    Ok(work.now_is(&id))
}

/// A customer of whom nothing is known yet.
pub fn make(work: &mut Work) -> String {
    let mut customer = work.new_object("customer");
    customer["invoice_prefix"] = json!(random_letters(8).to_uppercase());
    work.keep(customer)
}

pub fn update(work: &mut Work, id: &str, form: &Form) -> Result<Value, Refusal> {
    let customer = work.find("customer", id)?;
    let mut fields = fields(work, form)?;
    if fields.get("metadata").is_some() {
        fields["metadata"] = merged(&customer["metadata"], &fields["metadata"]);
    }
    work.set(id, fields);
    super::events::tell(work, "customer.updated", id);
    Ok(work.now_is(id))
}

/// Metadata after a change: an empty text takes its name out.
pub fn merged(before: &Value, change: &Value) -> Value {
    let mut after = before.as_object().cloned().unwrap_or_default();
    for (name, value) in change.as_object().into_iter().flatten() {
        if value == "" {
            after.shift_remove(name);
        } else {
            after.insert(name.clone(), value.clone());
        }
    }
    Value::Object(after)
}

fn fields(work: &Work, form: &Form) -> Result<Value, Refusal> {
    form.only(&["name", "email", "phone", "description", "metadata", "invoice_settings", "preferred_locales"])?;
    let mut fields = json!({});
    for name in TEXTS.iter().filter(|name| form.has(name)) {
        fields[*name] = json!(form.text(name));
    }
    if form.has("preferred_locales") {
        fields["preferred_locales"] = json!(form.texts("preferred_locales"));
    }
    if let Some(metadata) = form.metadata()? {
        fields["metadata"] = Value::Object(metadata);
    }
    let invoices = form.part("invoice_settings");
    invoices.only(&["default_payment_method"])?;
    if let Some(method) = invoices.text("default_payment_method") {
        work.named("payment_method", method, "invoice_settings[default_payment_method]")?;
        fields["invoice_settings"] = json!({
            "custom_fields": null, "default_payment_method": method, "footer": null, "rendering_options": null
        });
    }
    Ok(fields)
}

pub fn list(work: &Work, form: &Form) -> Result<Value, Refusal> {
    form.only(&lists::with_paging(&["email"]))?;
    lists::list(work, form, "customer", "/v1/customers", &Filter { equal: &["email"], also: &|_| true })
}

/// Deleting a customer detaches its payment methods; what was paid stays.
pub fn delete(work: &mut Work, id: &str) -> Result<Value, Refusal> {
    work.find("customer", id)?;
    let methods: Vec<String> = super::methods::of_customer(work, id);
    for method in methods {
        super::methods::detach(work, &method)?;
    }
    let deleted = json!({ "id": id, "object": "customer", "deleted": true });
    work.keep(deleted.clone());
    super::events::tell(work, "customer.deleted", id);
    Ok(deleted)
}

pub fn account(work: &Work) -> Value {
    let mut account = blank("account");
    account["id"] = json!(work.house.account);
    account
}

/// All of it is available at once; Stripe would hold some back for days.
pub fn balance(work: &Work) -> Value {
    let mut balance = blank("balance");
    let row = |cents: i64| json!([{ "amount": cents, "currency": "usd", "source_types": { "card": cents } }]);
    balance["available"] = row(work.books.balance() - work.books.fees());
    balance["pending"] = row(0);
    balance["livemode"] = json!(work.house.livemode);
    balance
}
