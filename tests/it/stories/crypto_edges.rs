//! Crypto at its edges: what is forged or does not fit, what goes back, and both sides of the books.

use farebox::base::Usd;
use farebox::stand_ins::btcpay::Status;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::rail::{API_KEY, Bought, KEY_SECRET, OLD_SECRET, Rail, SECRET, STORE, cents, deliver, digest};
use crate::support::shop::{applied, becomes, minutes_pass, now};
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options};

const PASSWORD: &str = "correct horse battery";

async fn ada(farebox: &Farebox) -> Visitor<'_> {
    Visitor::member(farebox, "ada@example.com", PASSWORD).await
}

type Sign<'a> = &'a dyn Fn(&str, &[u8]) -> Vec<(String, String)>;
type Forgery = (&'static str, Vec<(String, String)>, Vec<u8>);

/// The headers with another value of one of them.
fn with(headers: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
    let other = |(key, old): &(String, String)| {
        let new = if key == name { value.to_owned() } else { old.clone() };
        (key.clone(), new)
    };
    headers.iter().map(other).collect()
}

/// Ways in which a message is not what it says.
fn forgeries(rail: &Rail, message: &Value) -> Vec<Forgery> {
    let body = message.to_string().into_bytes();
    let good = rail.headers(SECRET, now(), &body);
    let name = if rail.name() == "btcpay" { "btcpay-sig" } else { "x-hook0-signature" };
    let signature = good.iter().find(|(key, _)| key == name).expect("a signature").1.clone();
    let at = if rail.name() == "btcpay" { "sha256=" } else { "v1=" };
    let digits = signature.split(at).nth(1).expect("digits").to_owned();
    let forged = |value: &str| with(&good, name, value);
    let altered = |from: &str, to: &str| {
        let text = String::from_utf8_lossy(&body).replacen(from, to, 1);
        assert_ne!(text.as_bytes(), body, "{from} is in it");
        text.into_bytes()
    };
    let signed = |secret: &str, body: &[u8]| rail.headers(secret, now(), body);
    let mut all: Vec<Forgery> = vec![
        ("no signature at all", Vec::new(), body.clone()),
        ("an empty signature", forged(""), body.clone()),
        ("words for a signature", forged("hello"), body.clone()),
        ("only digits", forged(&digits), body.clone()),
        ("an empty digest", forged(&signature.replace(&digits, "")), body.clone()),
        ("half a digest", forged(&signature.replace(&digits, &digits[..32])), body.clone()),
        ("a digest that is no hex", forged(&signature.replace(&digits, &"z".repeat(64))), body.clone()),
        ("zeros", forged(&signature.replace(&digits, &"0".repeat(64))), body.clone()),
        ("a digest of another scheme", forged(&signature.replace(at, "v9=")), body.clone()),
        ("the empty secret", signed("", &body), body.clone()),
        ("a space for a secret", signed(" ", &body), body.clone()),
        ("both secrets at once", signed(&format!("{SECRET},{OLD_SECRET}"), &body), body.clone()),
        ("the API key for a secret", signed(API_KEY, &body), body.clone()),
        ("the key's secret for a secret", signed(KEY_SECRET, &body), body.clone()),
        ("a secret of somebody else", signed("the secret of another shop", &body), body.clone()),
        ("a secret with a space", signed(&format!("{SECRET} "), &body), body.clone()),
        ("one byte more", good.clone(), [body.clone(), b" ".to_vec()].concat()),
        ("one byte less", good.clone(), body[..body.len() - 1].to_vec()),
        ("no body", good.clone(), Vec::new()),
        ("signed without its body", signed(SECRET, b""), body.clone()),
        ("spaced otherwise", good.clone(), altered("\":", "\": ")),
    ];
    for (what, body) in [
        ("no JSON", b"paid".to_vec()),
        ("nothing in it", b"{}".to_vec()),
        ("a list", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("not even text", vec![0xff, 0xfe, 0x00]),
    ] {
        all.push((what, signed(SECRET, &body), body));
    }
    all.extend(match rail {
        Rail::BtcPay(_) => of_btcpay(message, &good, &signed, &altered),
        Rail::Coinbase(_) => of_coinbase(rail, message, &good, &signed, &altered),
    });
    all
}

fn of_btcpay(
    message: &Value,
    good: &[(String, String)],
    signed: Sign<'_>,
    altered: &dyn Fn(&str, &str) -> Vec<u8>,
) -> Vec<Forgery> {
    let mut all = vec![
        ("another kind", good.to_vec(), altered("InvoiceSettled", "InvoiceExpired")),
        ("another delivery", good.to_vec(), altered("\"deliveryId\":\"", "\"deliveryId\":\"x")),
        ("another invoice", good.to_vec(), altered("\"invoiceId\":\"", "\"invoiceId\":\"x")),
        ("another store", good.to_vec(), altered(STORE, "OtherStore")),
    ];
    for (what, field, value) in [
        ("another store, well signed", "storeId", json!("OtherStore")),
        ("no store", "storeId", json!("")),
        ("no delivery", "deliveryId", json!("")),
        ("a path for an invoice", "invoiceId", json!("../../stores")),
        ("no invoice", "invoiceId", json!("")),
        ("a number for an invoice", "invoiceId", json!(1)),
        ("an invoice as long as a book", "invoiceId", json!("a".repeat(5_000))),
    ] {
        let mut other = message.clone();
        other[field] = value;
        let body = other.to_string().into_bytes();
        all.push((what, signed(SECRET, &body), body));
    }
    all
}

fn of_coinbase(
    rail: &Rail,
    message: &Value,
    good: &[(String, String)],
    signed: Sign<'_>,
    altered: &dyn Fn(&str, &str) -> Vec<u8>,
) -> Vec<Forgery> {
    let body = message.to_string().into_bytes();
    let at = |seconds: i64| rail.headers(SECRET, seconds, &body);
    let signature = good.iter().find(|(key, _)| key == "x-hook0-signature").expect("a signature").1.clone();
    let forged = |value: &str| with(good, "x-hook0-signature", value);
    let stamp = now();
    let alone = digest(SECRET, format!("{stamp}.").as_bytes(), &body);
    let mut all = vec![
        ("another amount", good.to_vec(), altered("21.05", "2105.00")),
        ("another kind", good.to_vec(), altered("checkout.payment.success", "checkout.payment.expired")),
        ("another currency", good.to_vec(), altered("USDC", "EURC")),
        ("another state", good.to_vec(), altered("COMPLETED", "PROCESSING")),
        ("another header", with(good, "x-event-id", "evt-2"), body.clone()),
        ("a header that is gone", good.iter().filter(|(key, _)| key != "x-event-id").cloned().collect(), body.clone()),
        (
            "fewer headers than were signed",
            forged(&signature.replace("h=content-type x-event-id", "h=content-type")),
            body.clone(),
        ),
        ("no headers named", forged(&signature.replace("h=content-type x-event-id,", "")), body.clone()),
        ("the signature that leaves headers out", forged(&format!("t={stamp},v0={alone}")), body.clone()),
        ("that one as if it were the other", forged(&format!("t={stamp},h=,v1={alone}")), body.clone()),
        ("another time than was signed", forged(&signature.replacen("t=", "t=1", 1)), body.clone()),
        ("no time", forged(&signature[signature.find(',').expect("parts") + 1..]), body.clone()),
        ("yesterday", at(stamp - 86_400), body.clone()),
        ("six minutes ago", at(stamp - 360), body.clone()),
        ("in six minutes", at(stamp + 360), body.clone()),
        ("the beginning of time", at(0), body.clone()),
        ("the end of time", at(i64::MAX), body.clone()),
    ];
    for (what, field, value) in [
        ("a path for a checkout", "id", json!("../../../refund")),
        ("no checkout", "id", json!("")),
        ("a number for a checkout", "id", json!(1)),
        ("no kind", "eventType", Value::Null),
    ] {
        let mut other = message.clone();
        other[field] = value;
        let body = other.to_string().into_bytes();
        all.push((what, signed(SECRET, &body), body));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forged_altered_stale_or_for_somebody_else_is_refused_and_moves_nothing() {
    for rail in Rail::both() {
        let farebox = rail.farebox().await;
        rail.hold_messages();
        let mut ada = ada(&farebox).await;
        let bought = rail.start(&mut ada, "20").await;
        rail.pay(&bought, cents(2_105));
        let kind =
            |message: &Value| message["type"] == "InvoiceSettled" || message["eventType"] == "checkout.payment.success";
        let message = rail.messages().into_iter().find(kind).expect("a message");
        let mut tried = 0;
        for (what, headers, body) in forgeries(&rail, &message) {
            assert_eq!(deliver(&farebox, rail.name(), &headers, body).await, 400, "{}: {what}", rail.name());
            tried += 1;
        }
        // At another processor's door the same good message is nothing, and unknown doors are closed.
        let body = message.to_string().into_bytes();
        let good = rail.headers(SECRET, now(), &body);
        for door in ["sandbox", "stripe", "btcpay", "coinbase", "paypal"] {
            if door != rail.name() {
                let status = if door == "sandbox" { 400 } else { 404 };
                assert_eq!(deliver(&farebox, door, &good, body.clone()).await, status, "{door}");
                tried += 1;
            }
        }
        let long = [body.clone(), vec![b' '; 300 * 1024]].concat();
        assert_eq!(deliver(&farebox, rail.name(), &rail.headers(SECRET, now(), &long), long.clone()).await, 413);
        assert!(tried + 1 >= 40, "{}: {tried}", rail.name());
        assert_eq!(farebox.text("select count(*)::text from processor_event").await, "0", "nothing of it is stored");
        assert_eq!(farebox.text("select count(*)::text from transfer").await, "0");
        // What is well signed and does not matter is answered, and not kept.
        let mut about = message.clone();
        about["type"] = json!("InvoiceCreated");
        about["eventType"] = json!("onramp.transaction.success");
        assert_eq!(rail.deliver_signed(&farebox, &about).await, 200);
        assert_eq!(farebox.text("select count(*)::text from processor_event").await, "0");

        // The good one is taken, signed with either secret, and once when it is replayed.
        for secret in [OLD_SECRET, SECRET, SECRET] {
            let headers = rail.headers(secret, now(), &body);
            assert_eq!(deliver(&farebox, rail.name(), &headers, body.clone()).await, 200);
        }
        applied(&farebox).await;
        assert_eq!(farebox.text("select state from topup").await, "paid", "{}", bought.topup);
        assert_eq!(farebox.text("select count(*)::text from processor_event").await, "1");
        let kept = farebox.text("select payload::text from processor_event").await;
        assert!(!kept.contains("0x") && !kept.contains("metadata"), "{kept}");
        rail.agrees(&farebox).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_door_of_one_processor_does_not_open_to_the_other() {
    let [btcpay, coinbase] = Rail::both();
    let env = [btcpay.options().env, coinbase.options().env].concat();
    let farebox = Farebox::with(Options { env, ..Options::default() }).await;
    let mut ada = ada(&farebox).await;
    for (rail, other) in [(&btcpay, "coinbase"), (&coinbase, "btcpay")] {
        let bought = rail.start(&mut ada, "20").await;
        rail.pay(&bought, cents(2_105));
        for message in rail.messages() {
            let body = message.to_string().into_bytes();
            let headers = rail.headers(SECRET, now(), &body);
            assert_eq!(deliver(&farebox, other, &headers, body).await, 400);
        }
    }
    assert_eq!(farebox.text("select count(*)::text from processor_event").await, "0");
    let choices = ada.get("/credits").await;
    assert!(choices.body.contains("Bitcoin") && choices.body.contains("USDC"), "{}", choices.body);
    minutes_pass(&farebox).await;
    becomes(&farebox, "select string_agg(state, ',') from topup", "paid,paid").await;
    btcpay.agrees(&farebox).await;
    coinbase.agrees(&farebox).await;
}

/// Asks BTCPay Server as somebody else of the store would.
async fn invoice(rail: &Rail, topup: &str, amount: &str, currency: &str) -> String {
    let Rail::BtcPay(there) = rail else { panic!("BTCPay") };
    let url = there.url().join(&format!("api/v1/stores/{STORE}/invoices")).expect("an address");
    let body = json!({ "amount": amount, "currency": currency, "metadata": { "orderId": topup } });
    let request = crate::support::http::client().request(Method::POST, url);
    let answer =
        request.header("authorization", format!("token {API_KEY}")).json(&body).send().await.expect("an answer");
    let made: Value = answer.json().await.expect("JSON");
    made["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invoice_that_somebody_else_made_for_our_purchase_credits_nothing() {
    let [rail, _] = Rail::both();
    let farebox = rail.farebox().await;
    let mut ada = ada(&farebox).await;
    let bought = rail.start(&mut ada, "20").await;
    let Rail::BtcPay(there) = &rail else { panic!("BTCPay") };
    for (amount, currency) in [("0.01", "USD"), ("21.05", "EUR"), ("1000000", "IDR")] {
        let other = invoice(&rail, &bought.topup, amount, currency).await;
        there.pay(&other, Usd::parse(amount).expect("an amount"));
    }
    becomes(&farebox, "select (count(*) >= 3)::text from processor_event where outcome like 'refused%'", "true").await;
    applied(&farebox).await;
    assert_eq!(farebox.text("select count(*)::text from transfer").await, "0");
    // One that names nothing of ours is nobody's.
    let foreign = invoice(&rail, "order-1", "21.05", "USD").await;
    there.pay(&foreign, cents(2_105));
    applied(&farebox).await;
    assert_eq!(farebox.text("select count(*)::text from transfer").await, "0");
    // Ours still comes in.
    rail.pay(&bought, cents(2_105));
    becomes(&farebox, "select state from topup", "paid").await;
    assert_eq!(farebox.text("select count(*)::text from transfer").await, "2");
    // Nothing of it is forgotten: the comparison shows what somebody has to look at.
    let told = farebox.cli(&["topups", "reconcile", "--processor", "btcpay"]).await;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.matches("LOOK refused").count() == 3 && told.contains("foreign"), "{told}");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_marks_by_hand_there_counts_only_as_far_as_money_came() {
    let [rail, _] = Rail::both();
    let farebox = rail.farebox().await;
    let mut ada = ada(&farebox).await;
    let Rail::BtcPay(there) = &rail else { panic!("BTCPay") };
    let nothing = rail.start(&mut ada, "20").await;
    assert!(there.mark(&nothing.reference, Status::Settled));
    becomes(&farebox, "select (count(*) >= 1)::text from processor_event where outcome like 'refused%'", "true").await;
    assert_eq!(farebox.text("select count(*)::text from transfer").await, "0");
    // What never fits ends after a month.
    for (days, state) in [(30, "pending"), (32, "failed")] {
        sqlx::query("update topup set created_at = now() - make_interval(days => $1::integer), ask_at = now()")
            .bind(days)
            .execute(&farebox.pool)
            .await
            .expect("time");
        becomes(&farebox, "select (ask_at is null or ask_at > now())::text from topup", "true").await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        becomes(&farebox, "select state from topup", state).await;
    }
    let page = ada.get(&format!("/credits/topups/{}", nothing.topup)).await.body;
    assert!(page.contains("does not fit this purchase"), "{page}");
    let vouched = rail.start(&mut ada, "100").await;
    rail.pay_part(&vouched, cents(5_000));
    assert!(there.mark(&vouched.reference, Status::Settled));
    becomes(&farebox, "select coalesce(sum(credits), 0)::numeric(10,2)::text from topup where state = 'paid'", "47.50")
        .await;
    rail.agrees(&farebox).await;
    // A payment that its payer takes back, and one that is never confirmed.
    let taken = rail.start(&mut ada, "30").await;
    rail.send(&taken, cents(3_158));
    there.take_back(&taken.reference);
    there.expire(&taken.reference);
    becomes(&farebox, "select state from topup where credits = 30", "expired").await;
    let stuck = rail.start(&mut ada, "40").await;
    rail.send(&stuck, cents(4_211));
    there.stop_watching(&stuck.reference);
    becomes(&farebox, "select state from topup where credits = 40", "failed").await;
    assert!(ada.get(&format!("/credits/topups/{}", stuck.topup)).await.body.contains("did not confirm"));
    there.confirm(&stuck.reference);
    becomes(&farebox, "select state from topup where credits = 40", "paid").await;
    rail.agrees(&farebox).await;
}

async fn topups(farebox: &Farebox, arguments: &[&str]) -> (bool, String) {
    let output = farebox.cli(&[["topups"].as_slice(), arguments].concat()).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + text(&output.stderr).as_str())
}

async fn paid(rail: &Rail, farebox: &Farebox, ada: &mut Visitor<'_>) -> Bought {
    let bought = rail.start(ada, "100").await;
    rail.pay(&bought, cents(10_526));
    becomes(farebox, "select state from topup order by id desc limit 1", "paid").await;
    let page = ada.get(&format!("/credits/topups/{}", bought.topup)).await;
    assert!(!page.body.contains("Return unused credits"), "its owner cannot send it back");
    let (form, token) = (format!("/credits/topups/{}/refund", bought.topup), ada.token("/credits").await);
    assert_eq!(ada.post(&token, &form, &[]).await.status, 303);
    assert_eq!(farebox.text("select count(*)::text from refund where origin = 'owner'").await, "0");
    bought
}

const CREDIT: &str = "select trim_scale(posted)::text from credit where org_id = (select org_id from topup limit 1)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bitcoin_goes_back_by_hand_and_an_operator_writes_it_down_once() {
    let [rail, _] = Rail::both();
    let farebox = rail.farebox().await;
    let mut ada = ada(&farebox).await;
    let bought = paid(&rail, &farebox, &mut ada).await;
    let Rail::BtcPay(there) = &rail else { panic!("BTCPay") };
    let (done, said) = topups(&farebox, &["refund", &bought.topup, "--amount", "30"]).await;
    assert!(!done && said.contains("--sent"), "{said}");
    there.send_back(cents(3_000));
    let sent = ["refund", bought.topup.as_str(), "--amount", "30", "--sent", "4a5e1e4baab89f3a32518a88c31bc87f"];
    let (done, said) = topups(&farebox, &sent).await;
    assert!(done && said.contains("written down"), "{said}");
    assert_eq!(farebox.text(CREDIT).await, "70");
    rail.agrees(&farebox).await;
    let (done, said) = topups(&farebox, &sent).await;
    assert!(!done && said.contains("already"), "{said}");
    let (done, said) = topups(&farebox, &["refund", &bought.topup, "--amount", "80", "--sent", "another"]).await;
    assert!(!done && said.contains("$75.26"), "{said}");
    assert_eq!(farebox.text("select count(*)::text from refund").await, "1");
    let page = ada.get(&format!("/credits/topups/{}", bought.topup)).await;
    assert!(
        page.body.contains("$100.00 added, $30.00 returned") && page.body.contains("By whoever runs"),
        "{}",
        page.body
    );
    let (_, told) = topups(&farebox, &["reconcile", "--processor", "btcpay"]).await;
    assert!(told.contains("no difference") && !told.contains("LOOK"), "{told}");
    let (_, shown) = topups(&farebox, &["show", &bought.topup]).await;
    assert!(shown.contains("refund"), "{shown}");
    rail.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usdc_goes_back_when_an_operator_asks_or_somebody_there_does() {
    let [_, rail] = Rail::both();
    let farebox = rail.farebox().await;
    let mut ada = ada(&farebox).await;
    let bought = paid(&rail, &farebox, &mut ada).await;
    let Rail::Coinbase(there) = &rail else { panic!("Coinbase") };
    let (done, said) = topups(&farebox, &["refund", &bought.topup, "--sent", "0xabc"]).await;
    assert!(!done && said.contains("itself"), "{said}");
    let (done, said) = topups(&farebox, &["refund", &bought.topup, "--amount", "30"]).await;
    assert!(done && said.contains("on its way"), "{said}");
    assert_eq!(farebox.text(CREDIT).await, "70");
    rail.agrees(&farebox).await;
    there.finish_refunds(&bought.reference, true);
    becomes(&farebox, "select state from refund", "succeeded").await;
    // Somebody refunds in the dashboard; it is found by itself, and so is that it failed.
    assert!(there.refund(&bought.reference, cents(2_000)));
    there.finish_refunds(&bought.reference, true);
    becomes(&farebox, CREDIT, "50").await;
    rail.agrees(&farebox).await;
    let (done, said) = topups(&farebox, &["refund", &bought.topup, "--amount", "10"]).await;
    assert!(done, "{said}");
    assert_eq!(farebox.text(CREDIT).await, "40");
    there.finish_refunds(&bought.reference, false);
    becomes(&farebox, CREDIT, "50").await;
    rail.agrees(&farebox).await;
    let (_, told) = topups(&farebox, &["reconcile", "--processor", "coinbase"]).await;
    assert!(told.contains("no difference") && !told.contains("LOOK"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_are_compared_in_both_directions() {
    for rail in Rail::both() {
        let farebox = rail.farebox().await;
        rail.hold_messages();
        let mut ada = ada(&farebox).await;
        let full = rail.start(&mut ada, "20").await;
        rail.pay(&full, cents(2_105));
        let part = rail.start(&mut ada, "30").await;
        rail.pay_part(&part, cents(1_000));
        rail.expire(&part);
        rail.start(&mut ada, "40").await;
        // The janitor would ask as well; here only the comparison does.
        let quiet = "update topup set ask_at = null";
        sqlx::query(quiet).execute(&farebox.pool).await.expect("rows");
        let (done, told) = topups(&farebox, &["reconcile", "--processor", rail.name()]).await;
        assert!(done && told.matches("done credited").count() == 2 && told.contains("no difference"), "{told}");
        assert!(told.contains("$10.00 came in instead of $31.58"), "{told}");
        assert_eq!(farebox.text("select string_agg(state, ',' order by id) from topup").await, "paid,paid,pending");
        rail.agrees(&farebox).await;
        // The rest of the part comes later, and its message is lost too.
        sqlx::query(quiet).execute(&farebox.pool).await.expect("rows");
        rail.pay(&part, cents(2_158));
        let (done, told) = topups(&farebox, &["reconcile", "--processor", rail.name()]).await;
        assert!(done && told.contains("credited for what came in later") && told.contains("no difference"), "{told}");
        let (done, told) = topups(&farebox, &["reconcile", "--processor", rail.name()]).await;
        assert!(done && !told.contains("done credited") && told.contains("no difference"), "{told}");
        rail.agrees(&farebox).await;

        // Only we know of it.
        sqlx::query(
            "insert into topup (org_id, id, method, processor, credits, fee, total, state, processor_ref, paid_at)
             select org_id, gen_random_uuid(), method, processor, 20, 1.05, 21.05, 'paid', '68f7a946db0529ea9b6d3a12', now()
             from topup limit 1",
        )
        .execute(&farebox.pool)
        .await
        .expect("a row");
        let (done, told) = topups(&farebox, &["reconcile", "--processor", rail.name()]).await;
        assert!(!done && told.contains("LOOK no_payment"), "{told}");
        // Nobody answers: nothing is decided.
        let requests = if rail.name() == "btcpay" { "GET /api/v1/stores" } else { "GET /api/v1/checkouts" };
        rail.set_faults(farebox::stand_ins::booth::Faults {
            fail_before_work: 9,
            requests: requests.to_owned(),
            hold_events: true,
            ..Default::default()
        });
        let (done, told) = topups(&farebox, &["reconcile", "--processor", rail.name()]).await;
        assert!(!done && told.contains("INCOMPLETE") && !told.contains("LOOK"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_processor_without_its_webhook_secret_stops_the_start() {
    for rail in Rail::both() {
        let name =
            if rail.name() == "btcpay" { "FAREBOX_BTCPAY_WEBHOOK_SECRET" } else { "FAREBOX_COINBASE_WEBHOOK_SECRET" };
        for secret in ["", ",", "short"] {
            let mut env = rail.options().env;
            env.retain(|(key, _)| *key != name);
            env.push((name, secret.to_owned()));
            let output = Farebox::refusal(Options { env, ..Options::default() }).await;
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && said.contains(name), "{said}");
            assert!(!said.contains(API_KEY) && !said.contains(KEY_SECRET), "{said}");
        }
    }
}

/// Requests that asked for money to go back.
fn refunds_asked(rail: &Rail) -> usize {
    let Rail::Coinbase(there) = rail else { panic!("Coinbase") };
    there.requests().iter().filter(|seen| seen.method == "POST" && seen.path.ends_with("/refund")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_back_there_of_a_payment_that_came_in_twice_is_taken_from_both_purchases() {
    let [_, rail] = Rail::both();
    let farebox = rail.farebox().await;
    let second = Farebox::with(Options { database_url: Some(farebox.database_url.clone()), ..rail.options() }).await;
    let mut ada = ada(&farebox).await;
    let bought = rail.start(&mut ada, "20").await;
    rail.pay(&bought, cents(2_105));
    becomes(&farebox, "select state from topup", "paid").await;
    rail.pay(&bought, cents(1_053));
    becomes(&farebox, "select count(*)::text from topup where state = 'paid'", "2").await;
    assert_eq!(farebox.text(CREDIT).await, "30");
    let Rail::Coinbase(there) = &rail else { panic!("Coinbase") };
    // Nobody tells of it while it is on its way; asking finds it, and asks for nothing more.
    assert!(there.refund(&bought.reference, cents(2_500)));
    let rows = "select string_agg(trim_scale(r.amount) || ' ' || trim_scale(r.credits) || ' ' || r.state, ', ' order by r.amount)
        from refund r where r.state <> 'failed'";
    minutes_pass(&farebox).await;
    becomes(&farebox, rows, "3.95 3.95 pending, 21.05 20 pending").await;
    assert_eq!(farebox.text(CREDIT).await, "6.05");
    let states = "select string_agg(state, ',' order by id) from topup";
    assert_eq!(farebox.text(states).await, "refunded,paid");
    rail.agrees(&farebox).await;
    for _ in 0..2 {
        minutes_pass(&farebox).await;
        becomes(&farebox, "select (min(ask_at) > now())::text from refund where state = 'pending'", "true").await;
    }
    let (done, told) = topups(&farebox, &["reconcile", "--processor", "coinbase"]).await;
    assert!(done && told.contains("no difference") && !told.contains("LOOK"), "{told}");
    assert_eq!(refunds_asked(&rail), 0, "it is on its way already");

    // It does not arrive, so all of it is back; again, in two parts, which two processes hear of at once.
    let hear = async || {
        sqlx::query("delete from processor_event").execute(&farebox.pool).await.expect("an inbox that forgot");
        for message in rail.messages() {
            let told = tokio::join!(rail.deliver_signed(&farebox, &message), rail.deliver_signed(&second, &message));
            assert_eq!(told, (200, 200));
        }
        applied(&farebox).await;
    };
    there.finish_refunds(&bought.reference, false);
    hear().await;
    becomes(&farebox, CREDIT, "30").await;
    assert_eq!(farebox.text(states).await, "paid,paid");
    rail.agrees(&farebox).await;
    for (amount, credits, all) in [
        (2_500, "6.05", "3.95 3.95 succeeded, 21.05 20 succeeded"),
        (658, "0", "3.95 3.95 succeeded, 6.58 6.05 succeeded, 21.05 20 succeeded"),
    ] {
        assert!(there.refund(&bought.reference, cents(amount)));
        there.finish_refunds(&bought.reference, true);
        hear().await;
        becomes(&farebox, CREDIT, credits).await;
        becomes(&farebox, rows, all).await;
        rail.agrees(&farebox).await;
    }
    assert_eq!(farebox.text(states).await, "refunded,refunded");
    let (done, told) = topups(&farebox, &["reconcile", "--processor", "coinbase"]).await;
    assert!(done && told.contains("no difference") && !told.contains("LOOK"), "{told}");
    assert_eq!(refunds_asked(&rail), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usdc_of_an_old_payment_that_went_back_is_found_without_its_message() {
    let [_, rail] = Rail::both();
    let farebox = rail.farebox().await;
    let mut ada = ada(&farebox).await;
    let bought = paid(&rail, &farebox, &mut ada).await;
    let young = rail.start(&mut ada, "20").await;
    rail.pay(&young, cents(2_105));
    becomes(&farebox, CREDIT, "120").await;
    rail.hold_messages();
    let Rail::Coinbase(there) = &rail else { panic!("Coinbase") };
    // Forty days later, long after anybody asks for it by itself.
    there.age(&bought.reference, 40 * 24 * 60 * 60);
    sqlx::query(
        "update topup set created_at = created_at - interval '40 days', paid_at = paid_at - interval '40 days', ask_at = null
         where credits = 100",
    )
    .execute(&farebox.pool)
    .await
    .expect("time");
    assert!(there.refund(&bought.reference, cents(3_000)));
    there.finish_refunds(&bought.reference, true);
    assert!(there.refund(&young.reference, cents(500)));
    there.finish_refunds(&young.reference, true);
    let (done, told) = topups(&farebox, &["reconcile", "--processor", "coinbase"]).await;
    assert!(done && told.matches("done booked").count() == 2 && told.contains("no difference"), "{told}");
    assert_eq!(farebox.text(CREDIT).await, "85");
    // Each is counted once: what is left of both.
    let sums = "select trim_scale(told) || ' ' || trim_scale(booked) from reconciliation order by id desc limit 1";
    assert_eq!(farebox.text(sums).await, "91.31 91.31");
    rail.agrees(&farebox).await;
}
