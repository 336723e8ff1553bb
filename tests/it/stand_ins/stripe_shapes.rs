//! What the stand-in answers has the fields and types of Stripe's own samples.

use farebox::stand_ins::stripe::{PayAs, StripeStandIn, Switches};
use serde_json::Value;

use super::{call, session, start};

/// Fields that are ours to fill, or whose content depends on the payment method.
const NOT_COMPARED_INSIDE: &[&str] =
    &["metadata", "object", "payment_method_details", "destination_details", "last_payment_error"];
/// Fields that only some objects of a kind have, and the samples do not.
const SOMETIMES: &[(&str, &str)] = &[
    ("refund", "failure_reason"),
    ("refund", "failure_balance_transaction"),
    // Newer than the samples.
    ("checkout.session", "allowed_payment_method_types"),
    ("checkout.session", "excluded_payment_method_types"),
    ("payment_intent", "allowed_payment_method_types"),
    ("setup_intent", "allowed_payment_method_types"),
];
/// Each way to pay, so that each has its object once.
const METHODS: &[&str] = &["card", "us_bank_account", "cashapp", "amazon_pay", "alipay", "wechat_pay"];

fn samples() -> Value {
    let file: Value = serde_json::from_str(include_str!("stripe_samples.json")).expect("JSON");
    file["resources"].clone()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// What is wrong with an object, compared with its sample.
fn differences(kind: &str, path: &str, ours: &Value, sample: &Value, wrong: &mut Vec<String>) {
    let (Some(mine), Some(theirs)) = (ours.as_object(), sample.as_object()) else { return };
    for (field, value) in theirs {
        let at = format!("{path}.{field}");
        match mine.get(field) {
            // Each payment method has the field of its own type only.
            None if kind == "payment_method" && field == "card" && mine["type"] != "card" => {}
            None => wrong.push(format!("{at} is missing")),
            Some(own) => {
                let (own_type, type_) = (type_of(own), type_of(value));
                if own_type != type_ && own_type != "null" && type_ != "null" {
                    wrong.push(format!("{at} is {own_type}, not {type_}"));
                }
                if !NOT_COMPARED_INSIDE.contains(&field.as_str()) && own != &serde_json::json!({}) {
                    differences(kind, &at, own, value, wrong);
                }
            }
        }
    }
    if path == kind {
        let own_type = ours["type"].as_str().unwrap_or_default();
        for field in mine.keys().filter(|field| !theirs.contains_key(*field)) {
            if !(SOMETIMES.contains(&(kind, field)) || kind == "payment_method" && field == own_type) {
                wrong.push(format!("{path}.{field} is not Stripe's"));
            }
        }
    }
}

/// Pays, saves, refunds, disputes and fails, until there is something of everything.
async fn live(stripe: &StripeStandIn) {
    let customer =
        call(stripe, "POST", "/v1/customers", &[("email", "a@example.com"), ("metadata[org]", "1")]).await.id();
    for kind in METHODS {
        let session = session(stripe, kind, &[]).await;
        stripe.pay(&session, PayAs::Succeed).expect("paid");
        stripe.refund(&stripe.intent_of(&session).expect("an intent"), Some(100)).expect("a refund");
    }
    let saved =
        session(stripe, "card", &[("customer", &customer), ("payment_intent_data[setup_future_usage]", "off_session")])
            .await;
    stripe.pay(&saved, PayAs::Succeed).expect("paid");
    let paid = stripe.intent_of(&saved).expect("an intent");
    let refund = stripe.refund(&paid, Some(100)).expect("a refund");
    stripe.fail_refund(&refund).expect("it fails");
    stripe.warn_of_fraud(&paid).expect("a warning");
    let dispute = stripe.dispute(&paid, None).expect("a dispute");
    stripe.close_dispute(&dispute, true).expect("won");
    let declined = session(stripe, "card", &[]).await;
    stripe.pay(&declined, PayAs::Decline).expect("declined");
    stripe.pay(&declined, PayAs::Expire).expect("over");
    stripe.set_switches(Switches { authenticate: 1, ..Switches::default() });
    let asked = session(stripe, "card", &[]).await;
    stripe.pay(&asked, PayAs::Succeed).expect("the bank asks");
    let setup = [
        ("mode", "setup"),
        ("currency", "usd"),
        ("customer", customer.as_str()),
        ("success_url", "http://127.0.0.1:1/done"),
        ("allowed_payment_method_types[]", "card"),
    ];
    let setup = call(stripe, "POST", "/v1/checkout/sessions", &setup).await.id();
    stripe.pay(&setup, PayAs::Succeed).expect("saved");
}

#[tokio::test]
async fn every_object_has_the_fields_and_types_of_stripes_samples() {
    let (stripe, samples) = (start().await, samples());
    live(&stripe).await;
    let mut wrong = Vec::new();
    for (kind, sample) in samples.as_object().expect("samples") {
        let objects = match kind.as_str() {
            "account" | "balance" => vec![call(&stripe, "GET", &format!("/v1/{kind}"), &[]).await.body],
            _ => stripe.objects(kind),
        };
        assert!(!objects.is_empty(), "no {kind} was made");
        for object in objects {
            differences(kind, kind, &object, sample, &mut wrong);
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_comparison_sees_what_is_missing_wrong_and_too_much() {
    let sample = &samples()["refund"];
    let mut ours = sample.clone();
    ours["amount"] = "100".into();
    ours["colour"] = "red".into();
    ours.as_object_mut().expect("an object").remove("charge");
    let mut wrong = Vec::new();
    differences("refund", "refund", &ours, sample, &mut wrong);
    assert_eq!(
        wrong,
        ["refund.amount is text, not number", "refund.charge is missing", "refund.colour is not Stripe's"]
    );
}
