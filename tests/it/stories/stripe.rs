//! Money through Stripe's protocol: credited once, whatever is delivered, lost, forged or killed.

use std::time::{Duration, Instant};

use farebox::base::ids::TopUpId;
use farebox::stand_ins::stripe::{PayAs, Switches};
use rand::seq::SliceRandom;
use serde_json::Value;

use crate::support::letters::{Letter, post_all};
use crate::support::shop::{
    KEY, OLD_SECRET, SECRET, Shop, applied, applied_within, becomes, deliver, deliver_signed, is_credited_in_time,
    minutes_pass, now, signature,
};
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options, scale};

const PASSWORD: &str = "correct horse battery";
/// Over which messages are posted to one process.
const CONNECTIONS: usize = 12;

async fn ada(farebox: &Farebox) -> Visitor<'_> {
    Visitor::member(farebox, "ada@example.com", PASSWORD).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_a_hundred_times_in_disorder_to_two_processes_credits_each_payment_once() {
    let (payments, copies): (usize, usize) = (scale(15, 1_000), scale(10, 100));
    let shop = Shop::open().await;
    let one = shop.farebox().await;
    let two = Farebox::with(Options { database_url: Some(one.database_url.clone()), ..shop.options() }).await;
    shop.hold_messages();
    let mut ada = ada(&one).await;
    let (token, cookies) = (ada.token("/credits").await, ada.cookies().to_vec());
    let purchases = (0..payments).map(|number: usize| {
        let (shop, token) = (&shop, &token);
        let mut ada = Visitor::with_cookies(if number.is_multiple_of(2) { &one } else { &two }, &cookies);
        async move {
            let id = TopUpId::fresh().to_string();
            let fields = [("id", id.as_str()), ("amount", "20"), ("method", "card")];
            let bought = shop.order(&mut ada, token, &fields).await;
            shop.stripe.pay(&bought.session, PayAs::Succeed).expect("a payment");
        }
    });
    futures_util::StreamExt::for_each_concurrent(futures_util::stream::iter(purchases), 8, |bought| bought).await;
    let events = shop.stripe.events();
    let about = |event: &&Value| {
        matches!(event["data"]["object"]["object"].as_str(), Some("checkout.session" | "payment_intent" | "charge"))
    };
    let relevant = events.iter().filter(about).count();
    assert!(relevant >= payments * 3, "{relevant} messages");
    let events: Vec<Vec<u8>> = events.iter().map(|event| event.to_string().into_bytes()).collect();
    let sign = || -> Vec<Letter> {
        let at = now();
        let signed = |body: &Vec<u8>| Letter { signature: signature(SECRET, at, body), body: body.clone() };
        events.iter().map(signed).collect()
    };
    let mut signed = (Instant::now(), sign());
    for round in 0..copies {
        // Signatures are good for five minutes.
        if signed.0.elapsed() > Duration::from_secs(100) {
            signed = (Instant::now(), sign());
        }
        let mut letters: Vec<&Letter> = signed.1.iter().collect();
        letters.shuffle(&mut rand::rng());
        let (left, right) = letters.split_at(letters.len() / 2);
        let (first, second) = if round.is_multiple_of(2) { (&one, &two) } else { (&two, &one) };
        tokio::join!(
            post_all(first, "/webhooks/stripe", left, CONNECTIONS),
            post_all(second, "/webhooks/stripe", right, CONNECTIONS)
        );
    }
    applied_within(&one, 300).await;
    let stored = one.text("select count(*)::text from processor_event").await;
    assert_eq!(stored, relevant.to_string(), "each message once");
    let count = payments.to_string();
    assert_eq!(one.text("select count(*)::text from topup where state = 'paid'").await, count);
    assert_eq!(one.text("select count(*)::text from transfer where code = 'topup'").await, count);
    let credits = one.text("select trim_scale(posted)::text from credit where posted <> 0").await;
    assert_eq!(credits, (payments * 20).to_string());
    let numbers = one.text("select count(distinct receipt_number) || '/' || max(receipt_number) from topup").await;
    assert_eq!(numbers, format!("{count}/{count}"), "receipts are numbered without gaps");
    shop.agrees(&one).await;
}

/// Ways in which a message is not what it says, with the status that each is answered with.
fn forgeries(event: &Value) -> Vec<(&'static str, String, Vec<u8>)> {
    let body = event.to_string().into_bytes();
    let good = signature(SECRET, now(), &body);
    let digits = good.split("v1=").nth(1).expect("a signature").to_owned();
    let altered = |from: &str, to: &str| String::from_utf8_lossy(&body).replacen(from, to, 1).into_bytes();
    let edited = |field: &str, value: Value| {
        let mut other = event.clone();
        other[field] = value;
        other.to_string().into_bytes()
    };
    let resigned = |secret: &str, body: &[u8]| signature(secret, now(), body);
    let mut all = vec![
        ("no signature at all", String::new(), body.clone()),
        ("words for a signature", "hello".into(), body.clone()),
        ("no time", format!("v1={digits}"), body.clone()),
        ("no digest", format!("t={}", now()), body.clone()),
        ("an empty digest", format!("t={},v1=", now()), body.clone()),
        ("a digest of another scheme", good.replace("v1=", "v0="), body.clone()),
        ("half a digest", format!("t={},v1={}", now(), &digits[..32]), body.clone()),
        ("a digest in capitals of other letters", format!("t={},v1={}", now(), "F".repeat(64)), body.clone()),
        ("zeros", format!("t={},v1={}", now(), "0".repeat(64)), body.clone()),
        ("the empty secret", resigned("", &body), body.clone()),
        ("a space for a secret", resigned(" ", &body), body.clone()),
        ("both secrets at once", resigned(&format!("{SECRET},{OLD_SECRET}"), &body), body.clone()),
        ("the API key for a secret", resigned(KEY, &body), body.clone()),
        ("a secret of somebody else", resigned("whsec_of_another_shop", &body), body.clone()),
        ("a secret with a space", resigned(&format!("{SECRET} "), &body), body.clone()),
        ("another time than was signed", format!("t={},v1={digits}", now() + 1), body.clone()),
        ("a time that is no number", format!("t=now,v1={digits}"), body.clone()),
        ("yesterday", signature(SECRET, now() - 86_400, &body), body.clone()),
        ("six minutes ago", signature(SECRET, now() - 360, &body), body.clone()),
        ("in six minutes", signature(SECRET, now() + 360, &body), body.clone()),
        ("the beginning of time", signature(SECRET, 0, &body), body.clone()),
        ("before the beginning of time", signature(SECRET, -now(), &body), body.clone()),
        ("the end of time", signature(SECRET, i64::MAX, &body), body.clone()),
        ("one byte more", good.clone(), [body.clone(), b" ".to_vec()].concat()),
        ("one byte less", good.clone(), body[..body.len() - 1].to_vec()),
        ("no body", good.clone(), Vec::new()),
        ("another amount", good.clone(), altered("2110", "211000")),
        ("another kind", good.clone(), altered("checkout.session.completed", "checkout.session.expired")),
        ("another message", good.clone(), altered("evt_", "evt_x")),
        ("another currency", good.clone(), altered("usd", "jpy")),
        ("paid instead of unpaid", good.clone(), altered("\"livemode\":false", "\"livemode\": false")),
    ];
    for (what, body) in [
        ("no JSON", b"paid".to_vec()),
        ("nothing in it", b"{}".to_vec()),
        ("a list", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("not even text", vec![0xff, 0xfe, 0x00]),
        ("the other mode", edited("livemode", true.into())),
        ("a connected account", edited("account", "acct_other".into())),
        ("no id", edited("id", Value::Null)),
    ] {
        let header = signature(SECRET, now(), &body);
        all.push((what, header, body));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forged_altered_stale_or_for_somebody_else_is_refused_and_moves_nothing() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    shop.hold_messages();
    let mut ada = ada(&farebox).await;
    let bought = shop.buy(&mut ada, "20", "card").await;
    let event = shop.stripe.events().into_iter().find(|event| event["type"] == "checkout.session.completed");
    let event = event.expect("a message");
    let mut tried = 0;
    for (what, header, body) in forgeries(&event) {
        assert_eq!(deliver(&farebox, "stripe", &header, body).await, 400, "{what}");
        tried += 1;
    }
    // At another processor's door the same good message is nothing, and unknown doors are closed.
    let body = event.to_string().into_bytes();
    for (door, status) in [("sandbox", 400), ("btcpay", 404), ("coinbase", 404), ("paypal", 404)] {
        let header = signature(SECRET, now(), &body);
        assert_eq!(deliver(&farebox, door, &header, body.clone()).await, status, "{door}");
        tried += 1;
    }
    let long = [body.clone(), vec![b' '; 300 * 1024]].concat();
    assert_eq!(deliver(&farebox, "stripe", &signature(SECRET, now(), &long), long.clone()).await, 413);
    assert!(tried + 1 >= 40, "{tried}");
    assert_eq!(farebox.text("select count(*)::text from processor_event").await, "0", "nothing of it is stored");
    assert_eq!(farebox.text("select count(*)::text from transfer").await, "0");

    // The good one is taken, signed with either secret, and taken once when it is replayed.
    for secret in [OLD_SECRET, SECRET, SECRET] {
        assert_eq!(deliver(&farebox, "stripe", &signature(secret, now(), &body), body.clone()).await, 200);
    }
    applied(&farebox).await;
    assert_eq!(farebox.text("select state from topup").await, "paid", "{}", bought.topup);
    shop.agrees(&farebox).await;
}

/// Money at Stripe that names a purchase of ours, but is not what was asked.
async fn pay_directly(shop: &Shop, topup: &str, cents: &str, currency: &str) {
    let request = farebox_client().post(shop.stripe.url().join("v1/payment_intents").expect("an address"));
    let form = [
        ("amount", cents),
        ("currency", currency),
        ("confirm", "true"),
        ("payment_method", "pm_card_visa"),
        ("return_url", "https://example.com/"),
        ("metadata[farebox_topup]", topup),
    ];
    let answer = request.bearer_auth(KEY).form(&form).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{}", answer.text().await.expect("a text"));
}

fn farebox_client() -> reqwest::Client {
    crate::support::http::client()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_amount_or_currency_credits_nothing_and_a_second_payment_is_not_credited_again() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    let bought = shop.start(&mut ada, "20", "card", false).await;
    for (cents, currency) in [("50", "usd"), ("2109", "usd"), ("2111", "usd"), ("2110", "eur")] {
        pay_directly(&shop, &bought.topup, cents, currency).await;
    }
    becomes(&farebox, "select (count(*) >= 4)::text from processor_event where outcome like 'refused%'", "true").await;
    assert_eq!(farebox.text("select count(*)::text from transfer").await, "0");
    // What was asked for still comes in.
    shop.stripe.pay(&bought.session, PayAs::Succeed).expect("a payment");
    becomes(&farebox, "select state from topup", "paid").await;
    pay_directly(&shop, &bought.topup, "2110", "usd").await;
    becomes(&farebox, "select count(*)::text from processor_event where applied_at is null", "0").await;
    assert_eq!(farebox.text("select count(*)::text from transfer").await, "2", "credits and fee, once");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_account_is_credited_when_the_money_comes_and_never_if_it_does_not() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    let good = shop.start(&mut ada, "20", "us_bank_account", false).await;
    let bad = shop.start(&mut ada, "30", "us_bank_account", false).await;
    for bought in [&good, &bad] {
        shop.stripe.pay(&bought.session, PayAs::Delay).expect("a payment");
    }
    becomes(&farebox, "select (count(*) >= 2)::text from processor_event where applied_at is not null", "true").await;
    applied(&farebox).await;
    assert_eq!(farebox.text("select count(*)::text from topup where state = 'pending'").await, "2");
    assert_eq!(farebox.text("select count(*)::text from transfer").await, "0", "on its way is not there");
    shop.stripe.settle(&shop.intent(&good), true).expect("settled");
    shop.stripe.settle(&shop.intent(&bad), false).expect("failed");
    becomes(&farebox, "select string_agg(state, ',' order by credits) from topup", "paid,failed").await;
    let page = ada.get(&format!("/credits/topups/{}", bad.topup)).await;
    assert!(page.body.contains("The payment failed") && page.body.contains("Try again"), "{}", page.body);
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_card_may_be_tried_again_and_a_checkout_runs_out() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    let bought = shop.start(&mut ada, "20", "card", false).await;
    shop.stripe.pay(&bought.session, PayAs::Decline).expect("a decline");
    applied(&farebox).await;
    assert_eq!(farebox.text("select state from topup").await, "pending", "another card may do");
    shop.stripe.pay(&bought.session, PayAs::Succeed).expect("a payment");
    becomes(&farebox, "select state from topup", "paid").await;
    let left = shop.start(&mut ada, "40", "alipay", false).await;
    shop.stripe.pay(&left.session, PayAs::Expire).expect("the time runs out");
    becomes(&farebox, "select state from topup where credits = 40", "expired").await;
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unused_credits_go_back_within_a_day_and_the_fee_is_kept() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    let bought = shop.buy(&mut ada, "20", "card").await;
    becomes(&farebox, "select state from topup", "paid").await;
    let (form, page) =
        (format!("/credits/topups/{}/refund", bought.topup), format!("/credits/topups/{}", bought.topup));
    assert!(ada.get(&form).await.body.contains("Return $20.00"));
    assert_eq!(ada.submit(&form, &form, &[]).await.status, 303);
    becomes(&farebox, "select state from topup", "refunded").await;
    assert_eq!(
        farebox.text("select trim_scale(posted)::text from credit where org_id = (select org_id from topup)").await,
        "0"
    );
    assert_eq!(shop.stripe.balance(), 110, "the fee stays");
    assert!(ada.get(&page).await.body.contains("Returned"));
    // Again there is nothing to return, and nothing happens.
    assert_eq!(ada.get(&form).await.status, 303);
    let token = ada.token("/credits").await;
    assert_eq!(ada.post(&token, &form, &[]).await.status, 303);
    assert_eq!(farebox.text("select count(*)::text from refund").await, "1");
    shop.agrees(&farebox).await;

    let late = shop.buy(&mut ada, "20", "card").await;
    becomes(&farebox, "select count(*)::text from topup where state = 'paid'", "1").await;
    sqlx::query("update topup set paid_at = now() - interval '25 hours' where state = 'paid'")
        .execute(&farebox.pool)
        .await
        .expect("a day later");
    let token = ada.token("/credits").await;
    assert_eq!(ada.post(&token, &format!("/credits/topups/{}/refund", late.topup), &[]).await.status, 303);
    assert_eq!(farebox.text("select count(*)::text from refund").await, "1", "too late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_was_not_answered_happens_once_and_one_that_fails_gives_the_credits_back() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    let bought = shop.buy(&mut ada, "20", "card").await;
    becomes(&farebox, "select state from topup", "paid").await;
    shop.stripe.set_switches(Switches {
        fail_after_work: 1,
        hold_events: true,
        requests: "POST /v1/refunds".to_owned(),
        ..Switches::default()
    });
    let form = format!("/credits/topups/{}/refund", bought.topup);
    assert_eq!(ada.submit(&form, &form, &[]).await.status, 303);
    assert_eq!(farebox.text("select state from refund").await, "pending", "unknown is not failed");
    let org = "select trim_scale(posted)::text from credit where org_id = (select org_id from topup limit 1)";
    assert_eq!(farebox.text(org).await, "0", "and nobody spends it meanwhile");
    minutes_pass(&farebox).await;
    becomes(&farebox, "select state from refund", "succeeded").await;
    assert_eq!(shop.stripe.balance(), 110, "once");
    shop.agrees(&farebox).await;

    shop.stripe.set_switches(Switches::default());
    let refund = shop.stripe.objects("refund").first().and_then(|refund| refund["id"].as_str().map(str::to_owned));
    shop.stripe.fail_refund(&refund.expect("a refund")).expect("the bank sends it back");
    becomes(&farebox, "select state from refund", "failed").await;
    becomes(&farebox, org, "20").await;
    assert_eq!(farebox.text("select state from topup").await, "paid");
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_and_disputes_from_elsewhere_take_credits_back_once() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    let first = shop.buy(&mut ada, "20", "card").await;
    let second = shop.buy(&mut ada, "30", "card").await;
    becomes(&farebox, "select count(*)::text from topup where state = 'paid'", "2").await;
    let org = "select trim_scale(posted)::text from credit where org_id = (select org_id from topup limit 1)";

    shop.stripe.refund(&shop.intent(&first), Some(500)).expect("a part");
    becomes(&farebox, org, "45").await;
    shop.stripe.refund(&shop.intent(&first), None).expect("the rest, with the fee");
    becomes(&farebox, org, "30").await;
    becomes(&farebox, "select state from topup where credits = 20", "refunded").await;
    shop.agrees(&farebox).await;

    shop.stripe.warn_of_fraud(&shop.intent(&second)).expect("a warning");
    becomes(&farebox, "select (fraud_warned_at is not null)::text from topup where credits = 30", "true").await;
    let dispute = shop.stripe.dispute(&shop.intent(&second), None).expect("a dispute");
    becomes(&farebox, org, "0").await;
    becomes(&farebox, "select state from topup where credits = 30", "disputed").await;
    let page = ada.get(&format!("/credits/topups/{}", second.topup)).await.body;
    assert!(page.contains("contests this payment, so its credits were taken back"), "{page}");
    shop.agrees(&farebox).await;
    shop.stripe.close_dispute(&dispute, true).expect("won");
    becomes(&farebox, org, "30").await;
    becomes(&farebox, "select state from topup where credits = 30", "paid").await;
    shop.agrees(&farebox).await;

    let third = shop.buy(&mut ada, "10", "card").await;
    becomes(&farebox, org, "40").await;
    let lost = shop.stripe.dispute(&shop.intent(&third), None).expect("a dispute");
    shop.stripe.close_dispute(&lost, false).expect("lost");
    becomes(&farebox, "select string_agg(state, ',' order by id) from dispute", "won,lost").await;
    assert_eq!(farebox.text(org).await, "30");
    // Every message once more, backwards: the books know it all.
    let mut events = shop.stripe.events();
    events.reverse();
    sqlx::query("delete from processor_event").execute(&farebox.pool).await.expect("an inbox that forgot");
    for event in &events {
        assert_eq!(deliver_signed(&farebox, event).await, 200);
    }
    applied(&farebox).await;
    assert_eq!(farebox.text(org).await, "30");
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_processor_that_hangs_or_stumbles_sells_nothing_twice() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    shop.stripe.set_switches(Switches {
        fail_after_work: 1,
        requests: "POST /v1/checkout/sessions".to_owned(),
        ..Switches::default()
    });
    let page = ada.get("/credits").await;
    let fields = crate::support::visitor::form(&page.body, "/credits/topups");
    let value = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value).to_owned();
    let (token, id) = (value("csrf_token"), value("id"));
    let fields = [("id", id.as_str()), ("amount", "20"), ("method", "card")];
    let failed = ada.post(&token, "/credits/topups", &fields).await;
    assert_eq!(failed.status, 503, "{}", failed.body);
    assert!(failed.body.contains("Nothing was charged") && failed.body.contains(&id), "the same form again");
    let again = ada.post(&token, "/credits/topups", &fields).await;
    assert_eq!(again.status, 200, "{}", again.body);
    assert_eq!(shop.stripe.objects("checkout.session").len(), 1, "one checkout");
    // Another amount with the used form is refused.
    let other = ada.post(&token, "/credits/topups", &[("id", &id), ("amount", "25"), ("method", "card")]).await;
    assert_eq!(other.status, 422, "{}", other.body);
    assert_eq!(farebox.text("select count(*)::text from topup").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_message_is_made_up_for_by_asking() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    shop.hold_messages();
    let mut ada = ada(&farebox).await;
    shop.buy(&mut ada, "20", "card").await;
    let nameless = shop.buy(&mut ada, "30", "cashapp").await;
    // The answer that names the checkout was lost too.
    sqlx::query("update topup set processor_ref = null, checkout_url = null where credits = 30")
        .execute(&farebox.pool)
        .await
        .expect("a row");
    minutes_pass(&farebox).await;
    becomes(&farebox, "select string_agg(state, ',' order by credits) from topup", "paid,paid").await;
    assert!(ada.get(&format!("/credits/topups/{}", nameless.topup)).await.body.contains("$30.00 added"));
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_between_charge_and_credit_loses_none_and_credits_none_twice() {
    let kills: usize = scale(6, 200);
    let shop = Shop::open().await;
    let database_url = crate::support::cluster::database().await;
    let options = || Options { database_url: Some(database_url.clone()), ..shop.options() };
    let mut first = Farebox::with(options()).await;
    let cookies = ada(&first).await.cookies().to_vec();
    let mut between = 0;
    for kill in 0..kills {
        // Of every third payment the message is lost as well, so that the kill falls between for certain.
        let lost = kill % 3 == 0;
        shop.deliver_to(&first);
        shop.stripe.set_switches(Switches { hold_events: lost, ..Switches::default() });
        let mut ada = Visitor::with_cookies(&first, &cookies);
        shop.buy(&mut ada, "20", "card").await;
        let wait = rand::random_range(0..40);
        tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
        first.kill();
        between += usize::from(first.text("select state from topup order by id desc limit 1").await == "pending");
        if lost {
            // It stays lost: what waits to be delivered is forgotten.
            shop.stripe.set_webhook(None, Vec::new());
            shop.stripe.deliver_all().await;
        }
        first = Farebox::with(options()).await;
    }
    assert!(between >= kills.div_ceil(3), "{between} of {kills} kills fell between charge and credit");
    shop.deliver_to(&first);
    is_credited_in_time(&first).await;
    let all = kills.to_string();
    assert_eq!(first.text("select count(*)::text from topup where state = 'paid'").await, all, "{}", first.log());
    assert_eq!(first.text("select count(*)::text from transfer where code = 'topup'").await, all);
    // What was told late, and again, changes nothing.
    for event in shop.stripe.events() {
        assert_eq!(deliver_signed(&first, &event).await, 200);
    }
    assert_eq!(first.text("select count(*)::text from transfer where code = 'topup'").await, all);
    shop.agrees(&first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_to_pay_is_kept_chosen_and_forgotten_at_the_processor_too() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    for (amount, method) in [("20", "card"), ("30", "us_bank_account")] {
        let bought = shop.start(&mut ada, amount, method, true).await;
        shop.stripe.pay(&bought.session, PayAs::Succeed).expect("a payment");
    }
    becomes(&farebox, "select count(*)::text from payment_method", "2").await;
    let page = ada.get("/credits").await.body;
    assert!(page.contains("Saved payment methods") && page.contains("ending in 4242"), "{page}");
    let second =
        farebox.text("select 'pay_' || replace(id::text, '-', '') from payment_method where not is_default").await;
    let token = ada.token("/credits").await;
    assert_eq!(ada.post(&token, &format!("/credits/methods/{second}/default"), &[]).await.status, 303);
    assert_eq!(
        farebox.text("select 'pay_' || replace(id::text, '-', '') from payment_method where is_default").await,
        second
    );
    let remove = format!("/credits/methods/{second}/remove");
    assert_eq!(ada.submit(&remove, &remove, &[]).await.status, 303);
    assert_eq!(farebox.text("select count(*)::text from payment_method where removed_at is null").await, "1");
    let detached = shop.stripe.objects("payment_method").iter().filter(|method| method["customer"].is_null()).count();
    assert!(detached >= 1, "{:?}", shop.stripe.objects("payment_method"));
    assert_eq!(ada.get(&remove).await.status, 404, "gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_processor_without_its_webhook_secret_stops_the_start() {
    for secret in ["", ",", "short"] {
        let mut env = vec![("FAREBOX_STRIPE_SECRET_KEY", KEY.to_owned())];
        env.push(("FAREBOX_STRIPE_WEBHOOK_SECRET", secret.to_owned()));
        let output = Farebox::refusal(Options { env, ..Options::default() }).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("FAREBOX_STRIPE_WEBHOOK_SECRET"), "{said}");
        assert!(!said.contains(KEY), "{said}");
    }
}

/// So much is left of the credits of the organization that bought.
async fn left(farebox: &Farebox, amount: &str) {
    let posted = "select trim_scale(posted)::text from credit where org_id = (select org_id from topup limit 1)";
    becomes(farebox, posted, amount).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_unused_goes_back_once_however_many_ask_at_once() {
    let shop = Shop::open().await;
    let one = shop.farebox().await;
    let two = Farebox::with(Options { database_url: Some(one.database_url.clone()), ..shop.options() }).await;
    let mut ada = ada(&one).await;
    let bought = shop.buy(&mut ada, "20", "card").await;
    left(&one, "20").await;
    let key = one.key("ada@example.com", "", &[]).await;
    let org = super::low_balance::org(&key);
    // A part is spent, and some of the rest is held by running calls.
    super::low_balance::correct(&one.pool, org, "-7.505").await;
    sqlx::query("update credit set held = held + 2 where org_id = $1")
        .bind(org.0)
        .execute(&one.pool)
        .await
        .expect("held");
    let form = format!("/credits/topups/{}/refund", bought.topup);
    let page = ada.get(&form).await;
    assert!(page.body.contains("Return $10.49"), "20 less 7.505 less 2, in whole cents: {}", page.body);
    let (token, cookies) = (ada.token("/credits").await, ada.cookies().to_vec());
    let asked = (0..8).map(|number: usize| {
        let mut ada = Visitor::with_cookies(if number.is_multiple_of(2) { &one } else { &two }, &cookies);
        let (token, form) = (token.clone(), form.clone());
        async move { ada.post(&token, &form, &[]).await.status }
    });
    let answers = futures_util::future::join_all(asked).await;
    assert_eq!(answers, [303; 8]);
    becomes(&one, "select string_agg(trim_scale(amount)::text || ' ' || state, ',') from refund", "10.49 succeeded")
        .await;
    left(&one, "2.005").await;
    assert_eq!(shop.stripe.balance(), 2_110 - 1_049);
    assert!(ada.get(&format!("/credits/topups/{}", bought.topup)).await.body.contains("$10.49 returned"));
    // The call that held the rest is over, so that goes back as well; what is spent never does.
    sqlx::query("update credit set held = held - 2 where org_id = $1")
        .bind(org.0)
        .execute(&one.pool)
        .await
        .expect("over");
    assert_eq!(ada.submit(&form, &form, &[]).await.status, 303);
    becomes(&one, "select count(*)::text from refund where state = 'succeeded'", "2").await;
    left(&one, "0.005").await;
    assert_eq!(ada.get(&form).await.status, 303, "nothing is left");
    shop.agrees(&one).await;

    // The owner and several operators at once: no more goes back than came in.
    let more = shop.buy(&mut ada, "30", "card").await;
    left(&one, "30.005").await;
    let (form, command) = (format!("/credits/topups/{}/refund", more.topup), ["topups", "refund", &more.topup]);
    let (mut first, mut second) = (Visitor::with_cookies(&one, &cookies), Visitor::with_cookies(&two, &cookies));
    let (a, b, c, d) = tokio::join!(
        one.cli(&command),
        two.cli(&command),
        first.post(&token, &form, &[]),
        second.post(&token, &form, &[])
    );
    assert_eq!((c.status, d.status), (303, 303));
    let refunded = [&a, &b].iter().filter(|output| output.status.success()).count();
    assert!((1..=2).contains(&refunded), "{a:?} {b:?}");
    becomes(&one, "select count(*)::text from refund where state = 'pending'", "0").await;
    let back = "select trim_scale(sum(r.amount))::text from refund r join topup t on t.id = r.topup_id
        where t.credits = 30 and r.state = 'succeeded'";
    let total = one.text("select trim_scale(total)::text from topup where credits = 30").await;
    assert_eq!(one.text(back).await, total, "an operator returns all of it, once");
    left(&one, "0.005").await;
    shop.agrees(&one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_go_back_says_so_and_a_later_refund_may_take_a_balance_below_zero() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    // A way to pay that cannot be refunded.
    let page = ada.get("/credits").await;
    let fields = crate::support::visitor::form(&page.body, "/credits/topups");
    let value = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value).to_owned();
    let (token, id) = (value("csrf_token"), value("id"));
    let fields = [("id", id.as_str()), ("amount", "20"), ("method", "sandbox_card")];
    let pay = ada.post(&token, "/credits/topups", &fields).await.location;
    assert_eq!(ada.submit(&pay, &pay, &[("outcome", "paid")]).await.status, 303);
    left(&farebox, "20").await;
    let page = ada.get(&format!("/credits/topups/{id}")).await.body;
    assert!(!page.contains("Return unused credits"), "{page}");
    let form = format!("/credits/topups/{id}/refund");
    assert_eq!(ada.get(&form).await.status, 303);
    assert_eq!(ada.post(&token, &form, &[]).await.status, 303);
    let told = ada.get(&format!("/credits/topups/{id}")).await.body;
    assert!(told.contains("This way to pay cannot be refunded from here."), "{told}");
    let output = farebox.cli(&["topups", "refund", &id]).await;
    assert!(!output.status.success(), "an operator cannot either");

    // One that is not paid, one of long ago, and one whose credits are spent.
    let open = shop.start(&mut ada, "40", "card", false).await;
    assert!(!farebox.cli(&["topups", "refund", &open.topup]).await.status.success(), "not paid");
    let old = shop.buy(&mut ada, "30", "card").await;
    left(&farebox, "50").await;
    sqlx::query("update topup set paid_at = paid_at - interval '30 days' where credits = 30")
        .execute(&farebox.pool)
        .await
        .expect("a month");
    let key = farebox.key("ada@example.com", "", &[]).await;
    super::low_balance::correct(&farebox.pool, super::low_balance::org(&key), "-45").await;
    let form = format!("/credits/topups/{}/refund", old.topup);
    assert_eq!(ada.post(&token, &form, &[]).await.status, 303);
    let told = ada.get(&format!("/credits/topups/{}", old.topup)).await.body;
    assert!(told.contains("within 24 hours"), "{told}");
    assert_eq!(farebox.text("select count(*)::text from refund").await, "0");
    assert!(farebox.cli(&["topups", "refund", &old.topup]).await.status.success(), "an operator can, any time");
    left(&farebox, "-25").await;
    let refused = farebox.chat(&key, "sandbox/penny", "hi", serde_json::json!({})).await;
    assert_eq!(refused.status(), 402, "below zero, nothing is admitted");
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warning_of_fraud_sends_the_payment_back_where_the_operator_wants_it() {
    let shop = Shop::open().await;
    let mut options = shop.options();
    options.env.push(("FAREBOX_REFUND_ON_FRAUD_WARNING", "true".to_owned()));
    let farebox = Farebox::with(options).await;
    shop.deliver_to(&farebox);
    let mut ada = ada(&farebox).await;
    let bought = shop.buy(&mut ada, "20", "card").await;
    left(&farebox, "20").await;
    shop.stripe.warn_of_fraud(&shop.intent(&bought)).expect("a warning");
    becomes(&farebox, "select state from topup", "refunded").await;
    left(&farebox, "0").await;
    assert_eq!(shop.stripe.balance(), 0, "the fee as well");
    // Told again, and once more by another warning: it was sent back once.
    shop.stripe.deliver_all().await;
    shop.stripe.warn_of_fraud(&shop.intent(&bought)).expect("another");
    applied(&farebox).await;
    super::low_balance::jobs_are_done(&farebox).await;
    assert_eq!(farebox.text("select string_agg(state, ',') from refund").await, "succeeded");
    let log = "select string_agg(actor_kind, ',') from audit_entry where action = 'credits.refund_asked'";
    assert_eq!(farebox.text(log).await, "system");
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_messages_are_dropped_and_a_late_copy_of_one_changes_nothing() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    shop.buy(&mut ada, "20", "card").await;
    left(&farebox, "20").await;
    applied(&farebox).await;
    let events = shop.stripe.events();
    for (statement, days) in [
        ("update processor_event set received_at = now() - make_interval(days => $1::integer)", 599),
        (
            "update processor_event set applied_at = null, received_at = now() - make_interval(days => $1::integer)
          where kind = 'charge.succeeded'",
            700,
        ),
    ] {
        sqlx::query(statement).bind(days).execute(&farebox.pool).await.expect("time");
    }
    assert_eq!(farebox::topups::tidy(&farebox.pool).await.expect("tidy"), 0, "disputes may still come");
    sqlx::query("update processor_event set received_at = received_at - interval '2 days'")
        .execute(&farebox.pool)
        .await
        .expect("time");
    let stored = farebox.text("select count(*)::text from processor_event").await;
    let (one, two) = tokio::join!(farebox::topups::tidy(&farebox.pool), farebox::topups::tidy(&farebox.pool));
    let dropped = one.expect("tidy") + two.expect("tidy");
    let left_over = farebox.text("select string_agg(kind, ',') from processor_event").await;
    assert_eq!(left_over, "charge.succeeded", "what was not applied is kept");
    assert_eq!((dropped + 1).to_string(), stored);
    for event in &events {
        assert_eq!(deliver_signed(&farebox, event).await, 200);
    }
    sqlx::query(
        "select graphile_worker.add_job('apply_processor_event', json_build_object('processor', 'stripe', 'id', id))
                 from processor_event where applied_at is null",
    )
    .execute(&farebox.pool)
    .await
    .expect("jobs");
    applied(&farebox).await;
    assert_eq!(farebox.text("select count(*)::text from transfer").await, "2");
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_stored_is_not_taken_and_one_that_cannot_be_applied_is_tried_again() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    shop.hold_messages();
    let mut ada = ada(&farebox).await;
    shop.buy(&mut ada, "20", "card").await;
    let run = async |statement: &'static str| sqlx::query(statement).execute(&farebox.pool).await.expect("done");
    // The janitor would find it as well; here only messages do.
    run("update topup set ask_at = now() + interval '1 hour'").await;
    let event = shop.stripe.events().into_iter().find(|event| event["type"] == "checkout.session.completed");
    let event = event.expect("a message");
    run("alter table processor_event add constraint full_up check (false) not valid").await;
    for _ in 0..2 {
        assert_eq!(deliver_signed(&farebox, &event).await, 503, "to be delivered again");
    }
    assert_eq!(farebox.text("select count(*)::text from processor_event").await, "0");
    let jobs = "select count(*)::text from graphile_worker._private_jobs where key like 'event:%'";
    assert_eq!(farebox.text(jobs).await, "0", "nothing is half stored");
    run("alter table processor_event drop constraint full_up").await;

    // It is stored now, and Stripe stumbles when it is asked.
    let switches = Switches {
        fail_before_work: 1,
        requests: "GET /v1/checkout/sessions".to_owned(),
        hold_events: true,
        ..Switches::default()
    };
    shop.stripe.set_switches(switches);
    for _ in 0..2 {
        assert_eq!(deliver_signed(&farebox, &event).await, 200);
    }
    for _ in 0..400 {
        if shop.stripe.switches().fail_before_work == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(shop.stripe.switches().fail_before_work, 0, "it was asked");
    assert_eq!(farebox.text("select count(*)::text from transfer").await, "0");
    assert_eq!(farebox.text("select count(*)::text from processor_event where applied_at is null").await, "1");
    becomes(&farebox, "select state from topup", "paid").await;
    assert_eq!(farebox.text("select count(*)::text from transfer").await, "2", "once");
    applied(&farebox).await;
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_pay_that_stripe_has_is_credited() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    let ways = ["card", "us_bank_account", "cashapp", "amazon_pay", "alipay", "wechat_pay"];
    for method in ways {
        let bought = shop.start(&mut ada, "20", method, false).await;
        let session = shop.stripe.object(&bought.session).expect("a checkout");
        assert_eq!(session["payment_method_types"], serde_json::json!([method]));
        shop.stripe.pay(&bought.session, PayAs::Succeed).expect(method);
    }
    becomes(&farebox, "select count(*)::text from topup where state = 'paid'", "6").await;
    left(&farebox, "120").await;
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_that_never_reached_the_processor_is_given_up_after_two_hours() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    shop.stripe.set_switches(Switches {
        fail_before_work: 1,
        requests: "POST /v1/checkout/sessions".to_owned(),
        ..Switches::default()
    });
    let page = ada.get("/credits").await;
    let fields = crate::support::visitor::form(&page.body, "/credits/topups");
    let value = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value).to_owned();
    let (token, id) = (value("csrf_token"), value("id"));
    let fields = [("id", id.as_str()), ("amount", "20"), ("method", "card")];
    assert_eq!(ada.post(&token, "/credits/topups", &fields).await.status, 503);
    for (minutes, state) in [(119, "pending"), (121, "expired")] {
        sqlx::query("update topup set created_at = now() - make_interval(mins => $1::integer), ask_at = now()")
            .bind(minutes)
            .execute(&farebox.pool)
            .await
            .expect("time");
        becomes(&farebox, "select (ask_at is null or ask_at > now())::text from topup", "true").await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        becomes(&farebox, "select state from topup", state).await;
    }
    let page = ada.get(&format!("/credits/topups/{id}")).await.body;
    assert!(page.contains("The payment expired") && page.contains("Try again"), "{page}");
    assert_eq!(farebox.text("select count(*)::text from transfer").await, "0");
}
