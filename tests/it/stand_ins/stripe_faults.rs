//! The API on bad days, and what may be sent again.

use std::time::{Duration, Instant};

use farebox::stand_ins::stripe::{StripeStandIn, Switches};
use serde_json::{Value, json};

use super::{KEY, call, call_with_key, start};
use crate::support::http::client;

const PAYMENT: &[(&str, &str)] = &[
    ("amount", "2110"),
    ("currency", "usd"),
    ("payment_method", "pm_card_visa"),
    ("allowed_payment_method_types[]", "card"),
    ("confirm", "true"),
];
const PATH: &str = "/v1/payment_intents";

fn payments(stripe: &StripeStandIn) -> usize {
    stripe.objects("payment_intent").len()
}

#[tokio::test]
async fn the_same_key_gets_the_same_answer_and_pays_once() {
    let stripe = start().await;
    let first = call_with_key(&stripe, "POST", PATH, PAYMENT, Some("k1")).await;
    let second = call_with_key(&stripe, "POST", PATH, PAYMENT, Some("k1")).await;
    assert_eq!((first.status, first.replayed), (200, false));
    assert_eq!((second.status, second.replayed), (200, true));
    assert_eq!(first.body, second.body);
    assert_eq!((payments(&stripe), stripe.balance()), (1, 2110));
    let other = call_with_key(&stripe, "POST", PATH, &PAYMENT[..3], Some("k1")).await;
    assert_eq!((other.status, &other.body["error"]["type"]), (400, &json!("idempotency_error")));
}

#[tokio::test]
async fn a_declined_payment_is_remembered_too() {
    let stripe = start().await;
    stripe.set_switches(Switches { decline: 1, ..Switches::default() });
    let first = call_with_key(&stripe, "POST", PATH, PAYMENT, Some("k1")).await;
    let second = call_with_key(&stripe, "POST", PATH, PAYMENT, Some("k1")).await;
    assert_eq!((first.status, second.status, second.replayed), (402, 402, true));
    assert_eq!(first.body["error"]["payment_intent"]["status"], "requires_payment_method");
    assert_eq!(stripe.balance(), 0);
}

#[tokio::test]
async fn an_answer_that_is_lost_can_be_asked_for_again() {
    let stripe = start().await;
    stripe.set_switches(Switches { fail_after_work: 1, ..Switches::default() });
    let lost = call_with_key(&stripe, "POST", PATH, PAYMENT, Some("k1")).await;
    assert_eq!((lost.status, stripe.balance()), (500, 2110));
    let again = call_with_key(&stripe, "POST", PATH, PAYMENT, Some("k1")).await;
    assert_eq!((again.status, again.replayed, &again.body["status"]), (200, true, &json!("succeeded")));
    assert_eq!((payments(&stripe), stripe.balance()), (1, 2110));
}

#[tokio::test]
async fn a_failure_before_the_work_does_nothing() {
    for (switches, status) in [
        (Switches { fail_before_work: 1, ..Switches::default() }, 500),
        (Switches { rate_limit: 1, ..Switches::default() }, 429),
    ] {
        let stripe = start().await;
        stripe.set_switches(switches);
        let failed = call_with_key(&stripe, "POST", PATH, PAYMENT, Some("k1")).await;
        assert_eq!((failed.status, payments(&stripe)), (status, 0));
        let again = call_with_key(&stripe, "POST", PATH, PAYMENT, Some("k1")).await;
        assert_eq!((again.status, again.replayed, payments(&stripe)), (200, false, 1));
    }
}

#[tokio::test]
async fn a_late_answer_has_done_its_work() {
    let stripe = start().await;
    stripe.set_switches(Switches { late: 1, late_by_ms: 60_000, ..Switches::default() });
    let late = call_with_key(&stripe, "POST", PATH, PAYMENT, Some("k1"));
    assert!(tokio::time::timeout(Duration::from_secs(1), late).await.is_err(), "no answer yet");
    assert_eq!(stripe.balance(), 2110);
    let again = call_with_key(&stripe, "POST", PATH, PAYMENT, Some("k1")).await;
    assert_eq!((again.status, again.replayed), (200, true));
}

#[tokio::test]
async fn two_at_once_with_one_key_are_told_to_wait() {
    let stripe = start().await;
    stripe.set_switches(Switches { delay_ms: 1000, ..Switches::default() });
    let first = call_with_key(&stripe, "POST", PATH, PAYMENT, Some("k1"));
    let second = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        call_with_key(&stripe, "POST", PATH, PAYMENT, Some("k1")).await
    };
    let begun = Instant::now();
    let (first, second) = tokio::join!(first, second);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!((first.status, second.status), (200, 409));
    assert_eq!(payments(&stripe), 1);
}

#[tokio::test]
async fn a_wrong_key_sees_nothing_and_basic_authentication_works() {
    let stripe = start().await;
    let url = stripe.url().join("/v1/balance").expect("an address");
    for request in [client().get(url.clone()), client().get(url.clone()).bearer_auth("sk_test_wrong")] {
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 401);
        let text = answer.text().await.expect("text");
        assert!(!text.contains(KEY), "{text}");
    }
    let answer = client().get(url).basic_auth(KEY, Some("")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn errors_have_stripes_form() {
    let stripe = start().await;
    let missing = call(&stripe, "GET", "/v1/refunds/re_none", &[]).await;
    assert_eq!((missing.status, &missing.body["error"]["code"]), (404, &json!("resource_missing")));
    let unknown = call(&stripe, "POST", PATH, &[("amount", "100"), ("colour", "red")]).await;
    assert_eq!(unknown.body["error"]["code"], "parameter_unknown");
    let none = call(&stripe, "POST", "/v1/charges", &[]).await;
    assert_eq!((none.status, &none.body["error"]["type"]), (404, &json!("invalid_request_error")));
}

#[tokio::test]
async fn a_person_can_set_the_switches_over_http() {
    let stripe = start().await;
    let url = stripe.url().join("/_control/switches").expect("an address");
    let sent = client().post(url.clone()).json(&json!({ "decline": 1, "decline_code": "insufficient_funds" }));
    assert_eq!(sent.send().await.expect("an answer").status(), 200);
    let declined = call(&stripe, "POST", PATH, PAYMENT).await;
    assert_eq!(declined.body["error"]["decline_code"], "insufficient_funds");
    let now: Value = client().get(url.clone()).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(now["decline"], 0, "it was used up");
    let wrong = client().post(url).json(&json!({ "declines": 1 })).send().await.expect("an answer");
    assert_eq!(wrong.status(), 400, "a wrong name is not ignored");
}
