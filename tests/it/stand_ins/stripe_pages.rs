//! The pages where a person plays the payer, their bank, and Stripe itself.

use farebox::stand_ins::stripe::{StripeStandIn, Switches};
use reqwest::Response;

use super::{call, session, start};
use crate::support::http::client;

async fn get(stripe: &StripeStandIn, path: &str) -> (u16, String) {
    let answer = client().get(stripe.url().join(path).expect("an address")).send().await.expect("a page");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

async fn post(stripe: &StripeStandIn, path: &str, fields: &[(&str, &str)]) -> Response {
    let url = stripe.url().join(path).expect("an address");
    client().post(url).form(fields).send().await.expect("an answer")
}

fn location(answer: &Response) -> String {
    assert_eq!(answer.status(), 303);
    answer.headers()["Location"].to_str().expect("text").to_owned()
}

#[tokio::test]
async fn the_bank_asks_on_its_own_page_and_a_refusal_can_be_tried_again() {
    let stripe = start().await;
    stripe.set_switches(Switches { authenticate: 2, ..Switches::default() });
    let session = session(&stripe, "card", &[]).await;
    let pay = format!("/pay/{session}");
    let bank = location(&post(&stripe, &pay, &[("how", "succeed"), ("method", "card")]).await);
    let (status, text) = get(&stripe, &bank).await;
    assert!(status == 200 && text.contains("21.10 USD") && text.contains("Stand-in: no money moves"), "{text}");
    let refused = post(&stripe, &bank, &[("how", "refuse")]).await;
    assert_eq!(refused.status(), 402, "back on the page to pay");
    let bank = location(&post(&stripe, &pay, &[("how", "succeed"), ("method", "card")]).await);
    let done = location(&post(&stripe, &bank, &[("how", "approve")]).await);
    assert_eq!(done, format!("http://127.0.0.1:1/done?session={session}"));
    assert_eq!(stripe.balance(), 2110);
    assert_eq!(get(&stripe, &bank).await.0, 400, "nothing is asked any more");
    assert_eq!(get(&stripe, &pay).await.0, 400, "nothing is to be paid any more");
}

#[tokio::test]
async fn a_payment_outside_of_a_session_comes_back_to_its_own_address() {
    let stripe = start().await;
    let fields = [
        ("amount", "500"),
        ("currency", "usd"),
        ("payment_method", "pm_card_authenticationRequired"),
        ("allowed_payment_method_types[]", "card"),
        ("confirm", "true"),
        ("return_url", "http://127.0.0.1:1/mine?a=b"),
    ];
    let asked = call(&stripe, "POST", "/v1/payment_intents", &fields).await;
    let url = asked.body["next_action"]["redirect_to_url"]["url"].as_str().expect("the bank's page").to_owned();
    let (_, text) = get(&stripe, &url).await;
    assert!(text.contains("5.00 USD"), "{text}");
    let back = location(&post(&stripe, &url, &[("how", "approve")]).await);
    assert!(back.starts_with("http://127.0.0.1:1/mine?a=b&payment_intent=pi_"), "{back}");
    assert!(back.ends_with("redirect_status=succeeded"), "{back}");
}

#[tokio::test]
async fn a_kept_method_is_the_customers_only_if_the_person_wants_it() {
    let stripe = start().await;
    let customer = call(&stripe, "POST", "/v1/customers", &[]).await.id();
    let asks = [("customer", customer.as_str()), ("saved_payment_method_options[payment_method_save]", "enabled")];
    for (keep, count) in [(&[][..], 0), (&[("keep", "true")][..], 1)] {
        let session = session(&stripe, "card", &asks).await;
        let (_, text) = get(&stripe, &format!("/pay/{session}")).await;
        assert!(text.contains("name=\"keep\""), "{text}");
        let fields = [&[("how", "succeed"), ("method", "card")][..], keep].concat();
        location(&post(&stripe, &format!("/pay/{session}"), &fields).await);
        let kept = call(&stripe, "GET", &format!("/v1/customers/{customer}/payment_methods"), &[]).await;
        assert_eq!(kept.body["data"].as_array().map(Vec::len), Some(count));
    }
}

#[tokio::test]
async fn the_desk_plays_everybody_else() {
    let stripe = start().await;
    let session = session(&stripe, "us_bank_account", &[]).await;
    location(&post(&stripe, &format!("/pay/{session}"), &[("how", "delay"), ("method", "us_bank_account")]).await);
    let intent = stripe.intent_of(&session).expect("an intent");
    let (_, text) = get(&stripe, "/").await;
    assert!(text.contains(&intent) && text.contains("Money comes"), "{text}");
    for (action, balance) in [("come", 2110), ("warn", 2110), ("dispute", 0), ("won", 2110), ("refund", 0)] {
        location(&post(&stripe, "/_control/act", &[("id", &intent), ("action", action)]).await);
        assert_eq!(stripe.balance(), balance, "after {action}");
    }
    let again = post(&stripe, "/_control/act", &[("id", &intent), ("action", "refund")]).await;
    assert_eq!(again.status(), 409);
    assert!(again.text().await.expect("text").contains("has been refunded already"));
}

#[tokio::test]
async fn pages_allow_no_script_and_lead_only_to_the_shop() {
    let stripe = start().await;
    let session = session(&stripe, "card", &[]).await;
    let url = stripe.url().join(&format!("/pay/{session}")).expect("an address");
    let answer = client().get(url).send().await.expect("a page");
    let policy = answer.headers()["Content-Security-Policy"].to_str().expect("text").to_owned();
    assert_eq!(
        policy,
        "default-src 'none'; style-src 'self'; form-action 'self' http://127.0.0.1:1; base-uri 'none'; frame-ancestors 'none'"
    );
    assert_eq!(get(&stripe, "/stand-in.css").await.0, 200);
    assert_eq!(get(&stripe, "/pay/cs_test_none").await.0, 404);
}
