//! What the person does on the hosted payment page and on the bank's page.

use serde_json::{Map, Value, json};

use super::attempts::{self, Verdict};
use super::books::Work;
use super::error::Refusal;
use super::objects::text;
use super::{intents, methods, sessions, setups};

/// Who pays, where nobody said an address.
const SOMEBODY: &str = "payer@example.com";

/// Which button the person presses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayAs {
    /// Pays. A method whose money comes later starts and comes through at once, with both events.
    Succeed,
    Decline,
    /// Starts a payment that somebody settles later; only with a method whose money comes later.
    Delay,
    /// Goes back to the shop. The session stays open.
    Cancel,
    /// Lets the time run out.
    Expire,
}

/// What the person sees next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The shop's page with this address.
    GoTo(String),
    /// The same page with this message.
    Declined(String),
    /// The bank's page for this intent.
    Authenticate(String),
    /// Nothing: the session is over.
    Expired,
}

/// What the form on the page says.
#[derive(Clone, Debug)]
pub struct Click<'a> {
    pub how: PayAs,
    /// One of the session's methods; its first one if not said.
    pub method: Option<&'a str>,
    /// The person wants the method to be kept for the next time.
    pub keep: bool,
}

pub fn click(work: &mut Work, id: &str, click: &Click) -> Result<Outcome, Refusal> {
    let session = sessions::open(work, id)?;
    match click.how {
        PayAs::Cancel => return Ok(Outcome::GoTo(address(&session, "cancel_url").unwrap_or_default())),
        PayAs::Expire => {
            sessions::expire(work, id, &super::form::Form::default())?;
            return Ok(Outcome::Expired);
        }
        PayAs::Succeed | PayAs::Decline | PayAs::Delay => {}
    }
    let types = session["payment_method_types"].as_array().cloned().unwrap_or_default();
    let kind = click.method.or_else(|| types.first()?.as_str()).unwrap_or("card").to_owned();
    if !types.iter().any(|one| *one == kind) {
        return Err(Refusal::invalid(format!("This session does not take {kind}.")));
    }
    if click.how == PayAs::Delay && !methods::is_later(&kind) {
        return Err(Refusal::invalid(format!("{kind} pays at once or not at all; it cannot be delayed.")));
    }
    let email = email(work, &session);
    let customer = sessions::customer(work, &session, &email);
    let intent = intent(work, &session, customer.as_deref());
    let method = methods::make(work, &kind);
    work.set(&method, json!({ "billing_details": billing(&work.now_is(&method), &email) }));
    let kept = session["saved_payment_method_options"]["payment_method_save"] == "enabled" && click.keep;
    if kept {
        work.set(&method, json!({ "allow_redisplay": "always" }));
    }
    let verdict = match click.how {
        PayAs::Decline => Verdict::Declined(work.books.switches.decline_code.clone()),
        _ => attempts::judge(work, &method),
    };
    let outcome = try_it(work, &session, &intent, &method, verdict, click.how == PayAs::Delay);
    if let (true, Some(customer), Outcome::GoTo(_)) = (kept && methods::is_reusable(&kind), &customer, &outcome) {
        methods::give_to(work, &method, customer);
    }
    Ok(outcome)
}

fn try_it(work: &mut Work, session: &Value, intent: &str, method: &str, verdict: Verdict, wait: bool) -> Outcome {
    let id = text(session, "id").to_owned();
    let setup = session["mode"] == "setup";
    let refusal = match verdict {
        Verdict::Asks => {
            attempts::ask(work, intent, method, Some(&format!("{}/pay/{id}", work.house.base)));
            return Outcome::Authenticate(intent.to_owned());
        }
        Verdict::Declined(code) if setup => Some(setups::decline(work, intent, method, &code)),
        Verdict::Declined(code) => Some(attempts::decline(work, intent, method, &code)),
        Verdict::Paid | Verdict::Later if setup => {
            setups::succeed(work, intent, method);
            None
        }
        Verdict::Paid => {
            attempts::pay(work, intent, method);
            None
        }
        Verdict::Later => {
            attempts::start_later(work, intent, method);
            None
        }
    };
    if let Some(refusal) = refusal {
        return Outcome::Declined(refusal.message().to_owned());
    }
    let paid = work.now_is(intent)["status"] == "succeeded";
    let email = email(work, session);
    sessions::complete(work, &id, paid, &email);
    if !paid && !setup && !wait {
        // It was processing a moment ago, so this cannot be refused.
        let _ = attempts::settle(work, intent, true);
    }
    Outcome::GoTo(address(session, "success_url").unwrap_or_default())
}

/// The session's intent: that of an earlier try, or a new one.
fn intent(work: &mut Work, session: &Value, customer: Option<&str>) -> String {
    let id = text(session, "id").to_owned();
    let private = work.books.private(&id);
    if let Some(intent) = private.intent {
        work.set(&intent, json!({ "customer": customer }));
        return intent;
    }
    let mut fields = private.intent_data;
    for field in ["allowed_payment_method_types", "payment_method_types", "payment_method_options", "currency"] {
        fields.insert(field.to_owned(), session[field].clone());
    }
    fields.insert("amount".to_owned(), session["amount_total"].clone());
    fields.insert("customer".to_owned(), json!(customer));
    let intent = intents::make(work, Value::Object(fields));
    work.set_private(&id, |private| private.intent = Some(intent.clone()));
    work.set_private(&intent, |private| private.session = Some(id));
    intent
}

fn email(work: &Work, session: &Value) -> String {
    let own = session["customer_email"].as_str().map(str::to_owned);
    let customer = session["customer"].as_str().map(|id| work.now_is(id));
    let known = own.or_else(|| customer.and_then(|customer| customer["email"].as_str().map(str::to_owned)));
    known.unwrap_or_else(|| SOMEBODY.to_owned())
}

fn billing(method: &Value, email: &str) -> Value {
    let mut billing = method["billing_details"].as_object().cloned().unwrap_or_else(Map::new);
    billing.insert("email".to_owned(), json!(email));
    Value::Object(billing)
}

/// One of the shop's addresses, with the session's id where it is asked for.
pub fn address(session: &Value, field: &str) -> Option<String> {
    session[field].as_str().map(|url| url.replace("{CHECKOUT_SESSION_ID}", text(session, "id")))
}

/// What the person answers on the bank's page.
pub fn authenticate(work: &mut Work, id: &str, approved: bool) -> Result<Outcome, Refusal> {
    let setup = id.starts_with("seti_");
    let intent = work.find(if setup { "setup_intent" } else { "payment_intent" }, id)?;
    if intent["status"] != "requires_action" {
        return Err(Refusal::unexpected_state(&intent, "Nothing has to be confirmed here any more."));
    }
    let private = work.books.private(id);
    let method = private.method.unwrap_or_default();
    let session = private.session.map(|session| work.now_is(&session));
    if approved {
        if let Some(session) = session {
            return Ok(try_it(work, &session, id, &method, Verdict::Paid, false));
        }
        if setup { setups::succeed(work, id, &method) } else { attempts::pay(work, id, &method) }
    } else {
        let refusal = refused(work, id, &method, setup);
        if session.is_some() {
            return Ok(Outcome::Declined(refusal.message().to_owned()));
        }
    }
    Ok(private.return_url.map_or(Outcome::Expired, |url| Outcome::GoTo(back(&url, &intent, approved))))
}

fn refused(work: &mut Work, id: &str, method: &str, setup: bool) -> Refusal {
    let kind = if setup { "setup_intent" } else { "payment_intent" };
    let refusal = Refusal::new(402, "card_error", "The bank could not confirm that it is you.")
        .code(&format!("{kind}_authentication_failure"))
        .with("payment_method", work.now_is(method));
    if setup {
        setups::give_back(work, id, &refusal);
    } else {
        attempts::give_back(work, id, &refusal, None);
        super::events::tell(work, "payment_intent.payment_failed", id);
    }
    refusal
}

/// The shop's address with what Stripe adds to it.
fn back(url: &str, intent: &Value, approved: bool) -> String {
    let Ok(mut url) = url::Url::parse(url) else { return url.to_owned() };
    let kind = text(intent, "object");
    url.query_pairs_mut()
        .append_pair(kind, text(intent, "id"))
        .append_pair(&format!("{kind}_client_secret"), text(intent, "client_secret"))
        .append_pair("redirect_status", if approved { "succeeded" } else { "failed" });
    url.into()
}
