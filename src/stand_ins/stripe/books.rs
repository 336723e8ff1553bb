//! What the pretend company remembers, and one step of work on it.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::Refusal;
use super::idempotency::Answers;
use super::objects::{self, blank, fresh_id, text};
use super::switches::Switches;
use super::webhooks::Queue;

/// Objects that are kept. The state file is written as a whole, so it must stay small.
pub const MAX_OBJECTS: usize = 20_000;

/// Everything that is remembered; also the content of the state file.
#[derive(Default, Serialize, Deserialize)]
pub struct Books {
    /// By id, in the order of making, each as the API tells it.
    objects: Map<String, Value>,
    /// The ids of each kind, in the order of making, so that nobody has to look through all of them.
    #[serde(skip)]
    by_kind: HashMap<String, Vec<String>>,
    /// What the API does not tell of an object.
    private: BTreeMap<String, Private>,
    pub answers: Answers,
    pub queue: Queue,
    #[serde(skip)]
    pub switches: Switches,
    /// Something has to be written to the state file.
    #[serde(skip)]
    pub changed: bool,
}

/// What we know of an object and do not tell.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Private {
    /// Of a session: its payment intent, also before it is told.
    pub intent: Option<String>,
    /// Of an intent: the session that it belongs to.
    pub session: Option<String>,
    /// Of an intent: where the browser goes after the bank's page.
    pub return_url: Option<String>,
    /// Of an intent that waits for the bank's page: with what it will be paid.
    pub method: Option<String>,
    /// Of a session: what is bought.
    pub title: String,
    /// Of a session: what its payment intent will have.
    pub intent_data: Map<String, Value>,
    /// Of a payment method: how charging it ends.
    pub temper: Temper,
}

/// How charging a payment method ends, when no switch says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Temper {
    #[default]
    Good,
    Declines(String),
    Authenticates,
}

/// Who the pretend company is.
#[derive(Clone, Debug)]
pub struct House {
    pub account: String,
    pub livemode: bool,
    /// Where its pages are, without a slash at the end.
    pub base: String,
    pub has_webhook: bool,
}

/// Which request an event comes from.
#[derive(Clone, Debug, Default)]
pub struct Cause {
    pub request: Option<String>,
    pub idempotency_key: Option<String>,
}

/// One step of work: everything in it happens at the same moment.
pub struct Work<'a> {
    pub books: &'a mut Books,
    pub house: &'a House,
    /// Milliseconds since 1970.
    pub now_ms: i64,
    pub cause: Cause,
}

impl Books {
    pub fn is_full(&self) -> bool {
        self.objects.len() >= MAX_OBJECTS
    }

    pub fn get(&self, id: &str) -> Option<&Value> {
        self.objects.get(id)
    }

    /// What was read from a file lists its kinds anew.
    pub fn after_start(&mut self) {
        self.by_kind.clear();
        for (id, object) in &self.objects {
            self.by_kind.entry(text(object, "object").to_owned()).or_default().push(id.clone());
        }
        self.answers.after_start();
    }

    fn insert(&mut self, id: &str, object: Value) {
        let kind = text(&object, "object").to_owned();
        if self.objects.insert(id.to_owned(), object).is_none() {
            self.by_kind.entry(kind).or_default().push(id.to_owned());
        }
    }

    /// The objects of a kind, newest first.
    pub fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.by_kind.get(kind).into_iter().flatten().rev().filter_map(|id| self.objects.get(id))
    }

    pub fn private(&self, id: &str) -> Private {
        self.private.get(id).cloned().unwrap_or_default()
    }

    /// What Stripe would hold for us, in cents: paid, less refunded, less disputed, won disputes back. No fees.
    pub fn balance(&self) -> i64 {
        self.all("balance_transaction").map(|row| objects::number(row, "amount")).sum()
    }

    /// What Stripe would keep for itself of that, in cents.
    pub fn fees(&self) -> i64 {
        self.all("balance_transaction").map(|row| objects::number(row, "fee")).sum()
    }
}

/// What Stripe takes for a movement: 2.9 % and 30 cents of a charge, 15 dollars for a dispute. Nothing comes back.
fn fee(cents: i64, category: &str) -> i64 {
    match category {
        "charge" => (cents * 29 + 500) / 1000 + 30,
        "dispute" => 1500,
        _ => 0,
    }
}

impl Work<'_> {
    /// Seconds since 1970, as Stripe tells times.
    pub fn now(&self) -> i64 {
        self.now_ms / 1000
    }

    /// A new object with its id and time, not yet kept.
    pub fn new_object(&self, kind: &str) -> Value {
        let mut object = blank(kind);
        object["id"] = json!(fresh_id(kind, self.house.livemode));
        object["created"] = json!(self.now());
        if object.get("livemode").is_some() {
            object["livemode"] = json!(self.house.livemode);
        }
        object
    }

    /// Keeps an object and gives its id.
    pub fn keep(&mut self, object: Value) -> String {
        let id = text(&object, "id").to_owned();
        self.books.changed = true;
        self.books.insert(&id, object);
        id
    }

    /// The object of this kind with this id from the path.
    pub fn find(&self, kind: &str, id: &str) -> Result<Value, Refusal> {
        self.look_up(kind, id, None)
    }

    /// The object of this kind that a parameter names.
    pub fn named(&self, kind: &str, id: &str, param: &str) -> Result<Value, Refusal> {
        self.look_up(kind, id, Some(param))
    }

    fn look_up(&self, kind: &str, id: &str, param: Option<&str>) -> Result<Value, Refusal> {
        let object = self.books.get(id).filter(|object| text(object, "object") == kind && object["deleted"] != true);
        object.cloned().ok_or_else(|| Refusal::no_such(kind, id, param))
    }

    /// Sets fields of an object that is kept.
    pub fn set(&mut self, id: &str, fields: Value) {
        self.books.changed = true;
        let (Some(object), Value::Object(fields)) = (self.books.objects.get_mut(id), fields) else { return };
        for (field, value) in fields {
            object[&field] = value;
        }
    }

    /// The object as it is now; null if there is none.
    pub fn now_is(&self, id: &str) -> Value {
        self.books.get(id).cloned().unwrap_or_default()
    }

    pub fn set_private(&mut self, id: &str, change: impl FnOnce(&mut Private)) {
        self.books.changed = true;
        change(self.books.private.entry(id.to_owned()).or_default());
    }

    /// Moves the balance and gives the id of the row that says so.
    pub fn move_balance(&mut self, cents: i64, kind: &str, category: &str, source: &str, currency: &str) -> String {
        let mut row = self.new_object("balance_transaction");
        let fee = fee(cents, category);
        if fee != 0 {
            row["fee_details"] = json!([{
                "amount": fee, "application": null, "currency": currency, "description": "Stripe processing fees",
                "type": "stripe_fee",
            }]);
        }
        let amounts = [("amount", json!(cents)), ("fee", json!(fee)), ("net", json!(cents - fee))];
        for (field, value) in amounts.into_iter().chain([("source", json!(source))]) {
            row[field] = value;
        }
        row["type"] = json!(kind);
        row["reporting_category"] = json!(category);
        row["currency"] = json!(currency);
        row["available_on"] = json!(self.now());
        self.keep(row)
    }
}
