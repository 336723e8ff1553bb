//! Every address of the API, in one table.

use serde_json::Value;

use super::books::Work;
use super::error::Refusal;
use super::expand::expand;
use super::form::Form;
use super::lists::{self, Filter};
use super::{customers, disputes, events, intents, methods, refunds, sessions, setups};

/// Does what a request asks for. `path` is what comes after `/v1/`.
pub fn dispatch(work: &mut Work, method: &str, path: &str, form: &Form) -> Result<Value, Refusal> {
    if method == "POST" && work.books.is_full() {
        let message = "This stand-in is full. Stop it, delete its state file, and start it again.";
        return Err(Refusal::new(500, "api_error", message));
    }
    let steps: Vec<&str> = path.trim_matches('/').split('/').collect();
    let answer = match method {
        "POST" => change(work, &steps, form),
        "GET" => look(work, &steps, form),
        "DELETE" => match steps.as_slice() {
            ["customers", id] => customers::delete(work, id),
            _ => Err(unknown(method, path)),
        },
        _ => Err(unknown(method, path)),
    }?;
    expand(work.books, form, answer)
}

fn unknown(method: &str, path: &str) -> Refusal {
    let message = format!("Unrecognized request URL ({method}: /v1/{path}), or one that this stand-in does not model.");
    Refusal::new(404, "invalid_request_error", message)
}

fn change(work: &mut Work, steps: &[&str], form: &Form) -> Result<Value, Refusal> {
    match steps {
        ["customers"] => customers::create(work, form),
        ["customers", id] => customers::update(work, id, form),
        ["checkout", "sessions"] => sessions::create(work, form),
        ["checkout", "sessions", id, "expire"] => sessions::expire(work, id, form),
        ["payment_intents"] => intents::create(work, form),
        ["payment_intents", id] => intents::update(work, id, form),
        ["payment_intents", id, "confirm"] => intents::confirm(work, id, form),
        ["payment_intents", id, "cancel"] => intents::cancel(work, id, form),
        ["setup_intents"] => setups::create(work, form),
        ["setup_intents", id, "confirm"] => setups::confirm(work, id, form),
        ["setup_intents", id, "cancel"] => setups::cancel(work, id, form),
        ["payment_methods", id, "attach"] => methods::attach(work, id, form),
        ["payment_methods", id, "detach"] => form.only(&[]).and_then(|()| methods::detach(work, id)),
        ["refunds"] => refunds::create(work, form),
        _ => Err(unknown("POST", &steps.join("/"))),
    }
}

fn look(work: &Work, steps: &[&str], form: &Form) -> Result<Value, Refusal> {
    let one = |kind: &str, id: &str| form.only(&[]).and_then(|()| work.find(kind, id));
    match steps {
        ["account"] => Ok(customers::account(work)),
        ["balance"] => Ok(customers::balance(work)),
        ["customers"] => customers::list(work, form),
        ["customers", id] => match work.books.get(id) {
            Some(deleted) if deleted["deleted"] == true => Ok(deleted.clone()),
            _ => one("customer", id),
        },
        ["customers", id, "payment_methods"] => {
            methods::list(work, id, None, form, &format!("/v1/customers/{id}/payment_methods"))
        }
        ["customers", customer, "payment_methods", id] => {
            one("payment_method", id).and_then(|method| match method["customer"] == *customer {
                true => Ok(method),
                false => Err(Refusal::no_such("payment_method", id, None)),
            })
        }
        ["checkout", "sessions"] => sessions::list(work, form),
        ["checkout", "sessions", id] => one("checkout.session", id),
        ["payment_intents"] => intents::list(work, form),
        // A browser would send its secret; we have the key.
        ["payment_intents", id] => work.find("payment_intent", id),
        ["setup_intents", id] => one("setup_intent", id),
        ["charges"] => intents::list_charges(work, form),
        ["charges", id] => one("charge", id),
        ["charges", id, "refunds"] => refunds::list(work, form, Some(id)),
        ["payment_methods"] => {
            methods::list(work, form.required("customer")?, Some("customer"), form, "/v1/payment_methods")
        }
        ["payment_methods", id] => one("payment_method", id),
        ["refunds"] => refunds::list(work, form, None),
        ["refunds", id] => one("refund", id),
        ["disputes"] => disputes::list(work, form),
        ["disputes", id] => one("dispute", id),
        ["radar", "early_fraud_warnings"] => disputes::list_warnings(work, form),
        ["radar", "early_fraud_warnings", id] => one("radar.early_fraud_warning", id),
        ["balance_transactions"] => {
            form.only(&lists::with_paging(&["type", "source"]))?;
            let filter = Filter { equal: &["type", "source"], also: &|_| true };
            lists::list(work, form, "balance_transaction", "/v1/balance_transactions", &filter)
        }
        ["balance_transactions", id] => one("balance_transaction", id),
        ["events"] => events::list(work, form),
        ["events", id] => one("event", id),
        _ => Err(unknown("GET", &steps.join("/"))),
    }
}
