//! The shapes of Stripe's objects, and small readers for them.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::base::secret::random_bytes;

/// The version of Stripe's API whose shapes these are.
pub const API_VERSION: &str = "2026-09-30.endive";
/// Versions of this name differ only in what is added.
pub const API_RELEASE: &str = ".endive";

/// Letters and digits of an id after its prefix.
const ID_LENGTH: usize = 24;
/// A checkout session's id is longer than the others.
const SESSION_ID_LENGTH: usize = 56;

/// Every object with all its fields, as it is before anybody said anything about it.
static SHAPES: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let shapes: Value = serde_json::from_str(include_str!("objects.json")).expect("objects.json is JSON");
    let Value::Object(shapes) = shapes else { unreachable!("objects.json is an object") };
    shapes
});

/// A blank object of this kind, such as `payment_intent`.
pub fn blank(kind: &str) -> Value {
    SHAPES.get(kind).cloned().unwrap_or_else(|| unreachable!("objects.json has no {kind}"))
}

/// The prefix of the ids of a kind.
fn prefix(kind: &str, livemode: bool) -> &'static str {
    match kind {
        "customer" => "cus_",
        "payment_intent" => "pi_",
        "setup_intent" => "seti_",
        "checkout.session" if livemode => "cs_live_",
        "checkout.session" => "cs_test_",
        "charge" => "ch_",
        "payment_method" => "pm_",
        "refund" => "re_",
        "dispute" => "dp_",
        "radar.early_fraud_warning" => "issfr_",
        "balance_transaction" => "txn_",
        "event" => "evt_",
        other => unreachable!("{other} has no id"),
    }
}

/// A new id of a kind.
pub fn fresh_id(kind: &str, livemode: bool) -> String {
    let length = if kind == "checkout.session" { SESSION_ID_LENGTH } else { ID_LENGTH };
    format!("{}{}", prefix(kind, livemode), random_letters(length))
}

/// Letters and digits that nobody guesses.
pub fn random_letters(length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut letters = String::with_capacity(length);
    while letters.len() < length {
        let bytes = random_bytes();
        let missing = length - letters.len();
        letters.extend(bytes.iter().take(missing).map(|byte| char::from(ALPHABET[usize::from(*byte) % 62])));
    }
    letters
}

/// A field as text; nothing if it is null or something else.
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

/// A field as an amount in cents, or a time in seconds.
pub fn number(object: &Value, field: &str) -> i64 {
    object[field].as_i64().unwrap_or_default()
}

/// The field's id, if it has one.
pub fn link(object: &Value, field: &str) -> Option<String> {
    object[field].as_str().map(str::to_owned)
}
