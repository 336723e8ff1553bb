//! Events reach the shop signed, again after a failure, and in the disorder that a switch asks for.

use std::time::Duration;

use farebox::base::Clock;
use farebox::stand_ins::stripe::{PayAs, StripeStandIn, Switches};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::shop::Shop;
use super::{SECRET, call, options, session, start};

const EXPECTED: [&str; 4] =
    ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"];

async fn paid(stripe: &StripeStandIn) -> String {
    let session = session(stripe, "card", &[]).await;
    stripe.pay(&session, PayAs::Succeed).expect("paid");
    session
}

fn sign(secret: &str, signed: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(signed.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[tokio::test]
async fn events_come_in_order_and_signed_with_each_secret() {
    let (stripe, shop) = (start().await, Shop::open());
    stripe.set_webhook(Some(shop.webhook()), vec![SECRET.to_owned(), "whsec_new".to_owned()]);
    paid(&stripe).await;
    let taken = shop.wait_for(EXPECTED.len()).await;
    assert_eq!(shop.kinds(), EXPECTED);
    for webhook in taken {
        let (time, signatures) = webhook.signature.split_once(',').expect("a time and signatures");
        let time = time.strip_prefix("t=").expect("a time");
        let age = Clock::system().now().timestamp() - time.parse::<i64>().expect("seconds");
        assert!((0..60).contains(&age), "{age} seconds");
        let signed = format!("{time}.{}", webhook.body);
        assert_eq!(signatures, format!("v1={},v1={}", sign(SECRET, &signed), sign("whsec_new", &signed)));
    }
}

#[tokio::test]
async fn a_shop_that_fails_is_told_again() {
    let (stripe, shop) = (start().await, Shop::open());
    shop.is_ill(2);
    stripe.set_webhook(Some(shop.webhook()), vec![SECRET.to_owned()]);
    paid(&stripe).await;
    shop.wait_for(EXPECTED.len()).await;
    let mut kinds = shop.kinds();
    kinds.sort();
    let mut expected = EXPECTED.map(str::to_owned);
    expected.sort();
    assert_eq!(kinds, expected, "each once");
}

#[tokio::test]
async fn held_events_are_delivered_by_hand_in_any_order_and_number() {
    let (stripe, shop) = (start().await, Shop::open());
    stripe.set_webhook(Some(shop.webhook()), vec![SECRET.to_owned()]);
    stripe.set_switches(Switches { hold_events: true, ..Switches::default() });
    paid(&stripe).await;
    let events: Vec<Value> = stripe.events();
    let ids: Vec<&str> = events.iter().rev().map(|event| event["id"].as_str().expect("an id")).collect();
    assert_eq!(stripe.waiting(), EXPECTED.len());
    let delivered = stripe.deliver(&ids[..2], 2).await;
    assert!(delivered.len() == 4 && delivered.iter().all(|one| one.status == Some(200)), "{delivered:?}");
    assert_eq!(shop.kinds(), [EXPECTED[3], EXPECTED[3], EXPECTED[2], EXPECTED[2]]);
    stripe.deliver_all().await;
    assert_eq!(shop.kinds()[4..], [EXPECTED[0], EXPECTED[1]]);
    stripe.set_switches(Switches::default());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(shop.taken().len(), 6, "nothing is told again");
}

#[tokio::test]
async fn switches_turn_the_order_around_and_repeat() {
    let (stripe, shop) = (start().await, Shop::open());
    stripe.set_webhook(Some(shop.webhook()), vec![SECRET.to_owned()]);
    let bad = Switches { newest_first: true, copies: 2, event_delay_ms: 300, ..Switches::default() };
    stripe.set_switches(bad);
    paid(&stripe).await;
    shop.wait_for(8).await;
    let newest_first: Vec<&str> = EXPECTED.iter().rev().flat_map(|kind| [*kind, *kind]).collect();
    assert_eq!(shop.kinds(), newest_first);
}

#[tokio::test]
async fn a_restart_finds_payments_and_events_that_were_not_delivered() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("stripe.json");
    let shop = Shop::open();
    let with_shop = || {
        let mut options = options(Some(file.clone()));
        options.webhook_url = Some(shop.webhook());
        options
    };
    let stripe = StripeStandIn::start(([127, 0, 0, 1], 0).into(), with_shop()).await.expect("a stand-in");
    stripe.set_switches(Switches { hold_events: true, ..Switches::default() });
    let session = paid(&stripe).await;
    let port = stripe.url().port().expect("a port");
    stripe.stop().await;
    assert!(shop.taken().is_empty());
    let stripe = StripeStandIn::start(([127, 0, 0, 1], port).into(), with_shop()).await.expect("a stand-in");
    shop.wait_for(EXPECTED.len()).await;
    assert_eq!(shop.kinds(), EXPECTED);
    let told = call(&stripe, "GET", &format!("/v1/checkout/sessions/{session}"), &[]).await;
    assert_eq!(told.body["payment_status"], "paid");
    assert_eq!(stripe.balance(), 2110);
}
