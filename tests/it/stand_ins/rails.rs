//! The stand-ins for BTCPay Server and Coinbase Business speak as their documentation says: the fields of every object, who
//! may ask, what is refused, and how messages are signed, repeated, delayed and disordered.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use farebox::base::Clock;
use farebox::stand_ins::booth::Faults;
use farebox::stand_ins::btcpay::{BtcPayStandIn, Status};
use farebox::stand_ins::coinbase::CoinbaseStandIn;
use farebox::topups::processors::coinbase::jwt;
use serde_json::{Value, json};
use url::Url;

use crate::support::http::client;
use crate::support::rail::{API_KEY, KEY_ID, KEY_SECRET, SECRET, STORE, btcpay, cents, coinbase, digest};

/// A message as it came.
#[derive(Clone)]
struct Message {
    headers: Vec<(String, String)>,
    body: String,
}

impl Message {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

#[derive(Default)]
struct Taken {
    /// Answers 500 so often before it is well.
    ill: usize,
    messages: Vec<Message>,
}

/// A shop that takes messages and remembers each.
struct Sink {
    taken: Arc<Mutex<Taken>>,
    handle: ServerHandle,
    url: Url,
}

async fn take(taken: web::Data<Mutex<Taken>>, request: HttpRequest, body: String) -> HttpResponse {
    let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    let header = |(name, value): (&actix_web::http::header::HeaderName, &actix_web::http::header::HeaderValue)| {
        (name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned())
    };
    taken.messages.push(Message { headers: request.headers().iter().map(header).collect(), body });
    if taken.ill > 0 {
        taken.ill -= 1;
        return HttpResponse::InternalServerError().finish();
    }
    HttpResponse::Ok().finish()
}

impl Sink {
    fn open() -> Sink {
        let socket = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let url = format!("http://{}/hook", socket.local_addr().expect("an address")).parse().expect("an address");
        let taken: Arc<Mutex<Taken>> = Arc::default();
        let shared = Arc::clone(&taken);
        let server = HttpServer::new(move || {
            App::new().app_data(web::Data::from(Arc::clone(&shared))).route("/hook", web::post().to(take))
        });
        let server = server.workers(1).disable_signals().listen(socket).expect("a server").run();
        let handle = server.handle();
        tokio::spawn(server);
        Sink { taken, handle, url }
    }

    fn target(&self) -> Option<(Url, String)> {
        Some((self.url.clone(), SECRET.to_owned()))
    }

    fn is_ill(&self, times: usize) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).ill = times;
    }

    async fn wait_for(&self, count: usize) -> Vec<Message> {
        for _ in 0..1_000 {
            let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).messages.clone();
            if taken.len() >= count {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{count} messages did not come");
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap_or_else(|| panic!("an object: {object}")).keys().map(String::as_str).collect()
}

fn has(object: &Value, fields: &[&str]) {
    let expected: BTreeSet<&str> = fields.iter().copied().collect();
    assert_eq!(keys(object), expected, "{object}");
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn greenfield(there: &BtcPayStandIn, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let url = there.url().join(&format!("api/v1/stores/{STORE}/{path}")).expect("an address");
    let request = client().request(method.parse().expect("a method"), url);
    let request = request.header("authorization", format!("token {API_KEY}"));
    answer(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

fn order(amount: &str) -> Value {
    json!({
        "amount": amount, "currency": "USD", "metadata": { "orderId": "order-1" },
        "checkout": { "expirationMinutes": 60, "monitoringMinutes": 1440, "redirectURL": "https://example.com/" },
    })
}

async fn invoice(there: &BtcPayStandIn, amount: &str) -> String {
    let (status, made) = greenfield(there, "POST", "invoices", Some(order(amount))).await;
    assert_eq!(status, 200, "{made}");
    made["id"].as_str().expect("an id").to_owned()
}

/// As the OpenAPI document of version 2 names them.
const INVOICE: [&str; 17] = [
    "id",
    "storeId",
    "amount",
    "paidAmount",
    "currency",
    "type",
    "checkoutLink",
    "createdTime",
    "expirationTime",
    "monitoringExpiration",
    "status",
    "additionalStatus",
    "availableStatusesForManualMarking",
    "archived",
    "metadata",
    "checkout",
    "receipt",
];
const CHECKOUT: [&str; 10] = [
    "speedPolicy",
    "paymentMethods",
    "defaultPaymentMethod",
    "lazyPaymentMethods",
    "expirationMinutes",
    "monitoringMinutes",
    "paymentTolerance",
    "redirectURL",
    "redirectAutomatically",
    "defaultLanguage",
];
const METHOD: [&str; 13] = [
    "paymentMethodId",
    "currency",
    "destination",
    "paymentLink",
    "rate",
    "paymentMethodPaid",
    "totalPaid",
    "due",
    "amount",
    "paymentMethodFee",
    "payments",
    "activated",
    "additionalData",
];
const PAYMENT: [&str; 6] = ["id", "receivedDate", "value", "fee", "status", "destination"];
const EVENT: [&str; 9] = [
    "deliveryId",
    "webhookId",
    "originalDeliveryId",
    "isRedelivery",
    "type",
    "timestamp",
    "storeId",
    "invoiceId",
    "metadata",
];

#[tokio::test]
async fn an_invoice_has_the_documented_fields_in_every_state() {
    let there = btcpay();
    let id = invoice(&there, "105.26").await;
    let state = |told: &Value| format!("{} {}", told["status"], told["additionalStatus"]).replace('"', "");
    let told = |id: String| {
        let there = &there;
        async move { greenfield(there, "GET", &format!("invoices/{id}"), None).await.1 }
    };
    let new = told(id.clone()).await;
    has(&new, &INVOICE);
    has(&new["checkout"], &CHECKOUT);
    assert_eq!((state(&new).as_str(), &new["paidAmount"], &new["amount"]), ("New None", &json!("0"), &json!("105.26")));
    assert!(
        new["createdTime"].is_i64() && new["checkoutLink"].as_str().expect("a link").ends_with(&format!("/i/{id}"))
    );
    there.send(&id, cents(5_000));
    assert_eq!(state(&told(id.clone()).await), "New PaidPartial");
    there.send(&id, cents(5_526));
    assert_eq!(state(&told(id.clone()).await), "Processing None");
    let (_, ways) = greenfield(&there, "GET", &format!("invoices/{id}/payment-methods"), None).await;
    has(&ways[0], &METHOD);
    has(&ways[0]["payments"][0], &PAYMENT);
    assert_eq!((&ways[0]["payments"][0]["status"], &ways[0]["rate"]), (&json!("Processing"), &json!("64392.23")));
    there.confirm(&id);
    assert_eq!(state(&told(id.clone()).await), "Settled None");
    assert_eq!(there.balance(), cents(10_526));
    let late = invoice(&there, "20.00").await;
    there.expire(&late);
    assert_eq!(state(&told(late.clone()).await), "Expired None");
    there.pay(&late, cents(2_000));
    assert_eq!(state(&told(late.clone()).await), "Expired PaidLate");
    let over = invoice(&there, "20.00").await;
    there.send_by_lightning(&over, cents(2_500));
    assert_eq!(state(&told(over.clone()).await), "Settled PaidOver");
    let marked = invoice(&there, "20.00").await;
    let (status, body) =
        greenfield(&there, "POST", &format!("invoices/{marked}/status"), Some(json!({ "status": "Invalid" }))).await;
    assert_eq!((status, state(&body).as_str()), (200, "Invalid Marked"));
    let (_, list) = greenfield(&there, "GET", "invoices?take=2&skip=1&startDate=1", None).await;
    let listed: Vec<&str> = list.as_array().expect("a list").iter().filter_map(|one| one["id"].as_str()).collect();
    assert_eq!(listed, [over.as_str(), late.as_str()], "the newest first");
    let (_, list) = greenfield(&there, "GET", "invoices?orderId=order-2", None).await;
    assert_eq!(list, json!([]));
}

#[tokio::test]
async fn greenfield_refuses_as_it_is_documented_and_what_is_not_modelled() {
    let there = btcpay();
    let id = invoice(&there, "20.00").await;
    let url = there.url().join(&format!("api/v1/stores/{STORE}/invoices")).expect("an address");
    for token in ["", "token ", "token wrong", "Bearer key-of-the-store"] {
        let (status, body) = answer(client().get(url.clone()).header("authorization", token)).await;
        assert_eq!((status, &body["code"]), (401, &json!("unauthenticated")), "{token}");
    }
    let other = there.url().join("api/v1/stores/Other/invoices").expect("an address");
    let (status, _) = answer(client().get(other).header("authorization", format!("token {API_KEY}"))).await;
    assert_eq!(status, 403);
    let (status, body) = greenfield(&there, "GET", "invoices/Nothing", None).await;
    assert_eq!((status, &body["code"]), (404, &json!("invoice-not-found")));
    for wrong in [
        json!({ "amount": "-1", "currency": "USD" }),
        json!({ "amount": "1", "currency": "USD", "colour": "red" }),
        json!({ "amount": "1", "currency": "USD", "checkout": { "speedPolicy": "Warp" } }),
        json!({ "amount": "1", "currency": "USD", "checkout": { "paymentTolerance": 101 } }),
        json!([]),
    ] {
        let (status, body) = greenfield(&there, "POST", "invoices", Some(wrong)).await;
        assert!(status == 422 && body[0]["message"].is_string(), "{status} {body}");
    }
    assert_eq!(greenfield(&there, "GET", "invoices?colour=red", None).await.0, 422);
    assert_eq!(greenfield(&there, "GET", &format!("invoices/{id}/colour"), None).await.0, 404);
    assert_eq!(
        greenfield(&there, "POST", &format!("invoices/{id}/status"), Some(json!({ "status": "New" }))).await.0,
        422
    );
    assert!(!there.mark("Nothing", Status::Settled));
}

#[tokio::test]
async fn messages_about_invoices_are_signed_and_delivered_again_under_a_new_name() {
    let (there, sink) = (btcpay(), Sink::open());
    there.set_webhook(sink.target());
    let id = invoice(&there, "105.26").await;
    there.pay(&id, cents(12_000));
    let messages = sink.wait_for(5).await;
    let kinds: Vec<String> =
        messages.iter().map(|one| one.json()["type"].as_str().expect("a type").to_owned()).collect();
    let expected =
        ["InvoiceCreated", "InvoiceReceivedPayment", "InvoiceProcessing", "InvoicePaymentSettled", "InvoiceSettled"];
    assert_eq!(kinds, expected);
    for one in &messages {
        assert_eq!(one.header("btcpay-sig"), format!("sha256={}", digest(SECRET, b"", one.body.as_bytes())));
        let body = one.json();
        let more: &[&str] = match body["type"].as_str() {
            Some("InvoiceReceivedPayment" | "InvoicePaymentSettled") => {
                &["afterExpiration", "paymentMethodId", "payment"]
            }
            Some("InvoiceProcessing") => &["overPaid"],
            Some("InvoiceSettled") => &["manuallyMarked", "overPaid"],
            _ => &[],
        };
        has(&body, &[EVENT.as_slice(), more].concat());
        assert_eq!((&body["storeId"], &body["isRedelivery"]), (&json!(STORE), &json!(false)));
    }
    assert_eq!(messages[4].json()["overPaid"], json!(true));
    // One that the shop did not take comes again.
    sink.is_ill(1);
    let expired = invoice(&there, "20.00").await;
    let all = sink.wait_for(7).await;
    let (first, again) = (all[5].json(), all[6].json());
    assert_eq!((&first["invoiceId"], &again["invoiceId"]), (&json!(expired), &json!(expired)));
    assert_eq!((&again["originalDeliveryId"], &again["isRedelivery"]), (&first["deliveryId"], &json!(true)));
    assert_ne!(again["deliveryId"], first["deliveryId"]);
}

async fn business(there: &CoinbaseStandIn, method: &str, path: &str, body: Option<(&str, Value)>) -> (u16, Value) {
    let url = there.url().join(&format!("api/v1/checkouts{path}")).expect("an address");
    let key = jwt::Key::parse(KEY_SECRET).expect("a key");
    let token = key.token(KEY_ID, method, &url, Clock::system().now()).expect("a token");
    let request = client().request(method.parse().expect("a method"), url).bearer_auth(token);
    answer(match body {
        Some((key, body)) => request.header("x-idempotency-key", key).json(&body),
        None => request,
    })
    .await
}

const ONCE: &str = "8e03978e-40d5-43e8-bc93-6894a57f9324";

fn basket() -> Value {
    json!({
        "amount": "100.00", "currency": "USDC", "network": "base", "description": "Payment for order #12345",
        "expiresAt": "2099-12-31T23:59:59Z", "successRedirectUrl": "https://example.com/success",
        "failRedirectUrl": "https://example.com/failed", "metadata": { "orderId": "12345", "customerId": "cust_abc123" },
    })
}

/// As the samples of the documentation have them.
const ALWAYS: [&str; 14] = [
    "id",
    "url",
    "amount",
    "currency",
    "network",
    "address",
    "tokenAddress",
    "description",
    "expiresAt",
    "failRedirectUrl",
    "metadata",
    "status",
    "successRedirectUrl",
    "createdAt",
];
const PAID: [&str; 2] = ["settlement", "transactionHash"];

#[tokio::test]
async fn a_checkout_has_the_documented_fields_in_every_state_and_in_every_message() {
    let (there, sink) = (coinbase(), Sink::open());
    there.set_webhook(sink.target());
    let (status, made) = business(&there, "POST", "", Some((ONCE, basket()))).await;
    assert_eq!(status, 201, "{made}");
    let always = [ALWAYS.as_slice(), &["updatedAt"]].concat();
    has(&made, &always);
    assert_eq!((&made["status"], &made["amount"]), (&json!("ACTIVE"), &json!("100.00")));
    let id = made["id"].as_str().expect("an id").to_owned();
    assert!(id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    there.start_payment(&id);
    assert_eq!(there.checkout(&id).expect("it")["status"], json!("PROCESSING"));
    there.complete(&id, cents(10_000));
    let (_, paid) = business(&there, "GET", &format!("/{id}"), None).await;
    has(&paid, &[always.as_slice(), &PAID].concat());
    let settlement = json!({ "totalAmount": "100.00", "feeAmount": "1.25", "netAmount": "98.75", "currency": "USDC" });
    assert_eq!((&paid["status"], &paid["settlement"]), (&json!("COMPLETED"), &settlement));
    let refund = json!({ "amount": "25.00", "currency": "USDC", "reason": "Customer requested refund" });
    let key = "8e03978e-40d5-43e8-bc93-6894a57f9325";
    let (status, asked) = business(&there, "POST", &format!("/{id}/refund"), Some((key, refund))).await;
    assert_eq!(status, 200, "{asked}");
    has(&asked, &["checkout", "refund"]);
    has(&asked["refund"], &["id", "checkoutId", "amount", "currency", "status", "reason", "createdAt"]);
    there.finish_refunds(&id, true);
    let back = there.checkout(&id).expect("it");
    assert_eq!((&back["status"], &back["refundedAmount"]), (&json!("PARTIALLY_REFUNDED"), &json!("25.00")));
    assert_eq!(there.balance(), cents(7_500));
    let messages = sink.wait_for(2).await;
    let kinds: Vec<Value> = messages.iter().map(|one| one.json()["eventType"].clone()).collect();
    assert_eq!(kinds, ["checkout.payment.success", "checkout.refund.success"]);
    has(&messages[0].json(), &[always.as_slice(), &PAID, &["eventType"]].concat());
    has(&messages[1].json(), &[always.as_slice(), &PAID, &["eventType", "refundedAmount", "refunds"]].concat());
    for one in &messages {
        let signature = one.header("x-hook0-signature");
        let stamp = signature.trim_start_matches("t=").split(',').next().expect("a time");
        let values =
            format!("{}.{}.{}", one.header("content-type"), one.header("x-event-id"), one.header("x-event-type"));
        let names = "content-type x-event-id x-event-type";
        let whole = digest(SECRET, format!("{stamp}.{names}.{values}.").as_bytes(), one.body.as_bytes());
        let alone = digest(SECRET, format!("{stamp}.").as_bytes(), one.body.as_bytes());
        assert_eq!(signature, format!("t={stamp},v0={alone},h={names},v1={whole}"));
    }
}

#[tokio::test]
async fn a_token_is_good_for_its_own_request_and_nothing_else() {
    let there = coinbase();
    let url = there.url().join("api/v1/checkouts").expect("an address");
    let key = jwt::Key::parse(KEY_SECRET).expect("a key");
    let other = jwt::Key::from_seed(&[7; 32]).expect("a key");
    let now = Clock::system().now();
    let good = key.token(KEY_ID, "GET", &url, now).expect("a token");
    let parts: Vec<&str> = good.split('.').collect();
    for (what, token) in [
        ("none", String::new()),
        ("words", "hello".to_owned()),
        ("another key", other.token(KEY_ID, "GET", &url, now).expect("a token")),
        ("another name of the key", key.token("another", "GET", &url, now).expect("a token")),
        ("another method", key.token(KEY_ID, "POST", &url, now).expect("a token")),
        ("another path", key.token(KEY_ID, "GET", &url.join("/api/v1/other").expect("a path"), now).expect("a token")),
        ("an old one", key.token(KEY_ID, "GET", &url, now - chrono::Duration::minutes(5)).expect("a token")),
        ("one of tomorrow", key.token(KEY_ID, "GET", &url, now + chrono::Duration::days(1)).expect("a token")),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("another header", format!("{}.{}.{}", parts[1], parts[1], parts[2])),
    ] {
        let (status, body) = answer(client().get(url.clone()).bearer_auth(token)).await;
        assert_eq!((status, &body["errorType"]), (401, &json!("unauthorized")), "{what}");
    }
    let (status, body) = answer(client().get(url).bearer_auth(good)).await;
    assert_eq!((status, body), (200, json!({ "checkouts": [] })));
}

#[tokio::test]
async fn a_key_is_answered_once_and_what_is_not_modelled_is_refused() {
    let there = coinbase();
    let (_, first) = business(&there, "POST", "", Some((ONCE, basket()))).await;
    let (status, again) = business(&there, "POST", "", Some((ONCE, basket()))).await;
    assert_eq!((status, &again["id"]), (201, &first["id"]));
    assert_eq!(there.checkouts().len(), 1);
    let mut other = basket();
    other["amount"] = json!("200.00");
    let (status, body) = business(&there, "POST", "", Some((ONCE, other))).await;
    assert_eq!((status, &body["errorType"]), (422, &json!("idempotency_error")));
    let fresh = |number: usize| format!("8e03978e-40d5-43e8-bc93-{number:012x}");
    for (number, (field, value)) in [
        ("amount", json!("1.001")),
        ("amount", json!("0")),
        ("amount", json!(100)),
        ("currency", json!("EURC")),
        ("network", json!("ethereum")),
        ("expiresAt", json!("2020-01-01T00:00:00Z")),
        ("successRedirectUrl", json!("http://example.com/")),
        ("colour", json!("red")),
    ]
    .into_iter()
    .enumerate()
    {
        let mut wrong = basket();
        wrong[field] = value;
        let (status, body) = business(&there, "POST", "", Some((fresh(number).as_str(), wrong))).await;
        assert_eq!((status, &body["errorType"]), (400, &json!("invalid_request")), "{field}");
    }
    let (status, _) = business(&there, "POST", "", Some(("0196d5c0-7a3f-7c3e-9f6a-1b2c3d4e5f60", basket()))).await;
    assert_eq!(status, 400, "a key that is no random id");
    let id = first["id"].as_str().expect("an id");
    let back = json!({ "amount": "1.00" });
    let (status, _) = business(&there, "POST", &format!("/{id}/refund"), Some((fresh(90).as_str(), back))).await;
    assert_eq!(status, 400, "nothing was paid");
    let (status, closed) =
        business(&there, "POST", &format!("/{id}/deactivate"), Some((fresh(91).as_str(), json!({})))).await;
    assert_eq!((status, &closed["status"]), (200, &json!("DEACTIVATED")));
    assert_eq!(business(&there, "GET", "/68f7a946db0529ea9b6d3a12", None).await.0, 404);
    // Pages of two, the newest first.
    for number in 0..4 {
        business(&there, "POST", "", Some((fresh(100 + number).as_str(), basket()))).await;
    }
    let mut seen = Vec::new();
    let mut query = "?pageSize=2".to_owned();
    loop {
        let (_, page) = business(&there, "GET", &query, None).await;
        seen.extend(page["checkouts"].as_array().expect("a list").iter().map(|one| one["id"].clone()));
        let Some(token) = page["nextPageToken"].as_str() else { break };
        query = format!("?pageSize=2&pageToken={token}");
    }
    let mut made: Vec<Value> = there.checkouts().iter().map(|one| one["id"].clone()).collect();
    made.reverse();
    assert_eq!(seen, made);
}

#[tokio::test]
async fn on_a_bad_day_requests_fail_and_messages_come_late_twice_and_backwards() {
    let (there, sink) = (btcpay(), Sink::open());
    there.set_webhook(sink.target());
    let posts = || "POST /api/v1/stores".to_owned();
    there.set_faults(Faults { fail_before_work: 1, rate_limit: 1, requests: posts(), ..Faults::default() });
    for status in [429, 500] {
        assert_eq!(greenfield(&there, "POST", "invoices", Some(order("1.00"))).await.0, status);
    }
    assert_eq!(there.invoices().len(), 0, "nothing happened");
    there.set_faults(Faults { fail_after_work: 1, late: 1, late_by_ms: 300, requests: posts(), ..Faults::default() });
    assert_eq!(greenfield(&there, "POST", "invoices", Some(order("1.00"))).await.0, 500);
    assert_eq!(there.invoices().len(), 1, "it happened");
    let asked = tokio::time::Instant::now();
    assert_eq!(greenfield(&there, "POST", "invoices", Some(order("1.00"))).await.0, 200);
    assert!(asked.elapsed() >= Duration::from_millis(300));
    assert_eq!(there.faults().late, 0, "used up");
    let before = sink.wait_for(2).await.len();
    there.set_faults(Faults { hold_events: true, ..Faults::default() });
    let id = invoice(&there, "20.00").await;
    there.pay(&id, cents(2_000));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(there.waiting().len(), 5);
    assert_eq!(sink.wait_for(before).await.len(), before, "held");
    there.set_faults(Faults { copies: 2, newest_first: true, ..Faults::default() });
    let came = sink.wait_for(before + 10).await;
    let kinds: Vec<Value> = came[before..].iter().map(|one| one.json()["type"].clone()).collect();
    assert_eq!(
        (&kinds[0], &kinds[1], &kinds[9]),
        (&json!("InvoiceSettled"), &json!("InvoiceSettled"), &json!("InvoiceCreated"))
    );
    // The same by the desk's address, for those who try things out by hand.
    let faults = there.url().join("_control/faults").expect("an address");
    let (status, now) = answer(client().post(faults.clone()).json(&json!({ "delay_ms": 5 }))).await;
    assert_eq!((status, &now["delay_ms"], &now["copies"]), (200, &json!(5), &json!(1)));
}

#[tokio::test]
async fn somebody_pays_on_the_page_and_plays_everybody_else_at_the_desk() {
    let (bitcoin, usdc) = (btcpay(), coinbase());
    let id = invoice(&bitcoin, "105.26").await;
    let page = |url: Url| async move { client().get(url).send().await.expect("a page").text().await.expect("a text") };
    let send = |url: Url, form: Vec<(&'static str, String)>| async move {
        let answer = client().post(url).form(&form).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    let pay = bitcoin.url().join(&format!("i/{id}")).expect("an address");
    let shown = page(pay.clone()).await;
    assert!(
        shown.contains("no money moves") && shown.contains("$105.26 USD") && shown.contains("Pay a part"),
        "{shown}"
    );
    let (_, part) = send(pay.clone(), vec![("how", "part".into())]).await;
    assert!(part.contains("Sent so far: $52.63"), "{part}");
    assert_eq!(send(pay.clone(), vec![("how", "pay".into())]).await.0, 303, "back to the shop");
    assert_eq!(bitcoin.balance(), cents(10_526));
    let act = bitcoin.url().join("_control/act").expect("an address");
    assert!(page(bitcoin.url()).await.contains("Mark as invalid"));
    assert_eq!(send(act.clone(), vec![("id", id.clone()), ("action", "invalid".into())]).await.0, 303);
    assert_eq!(send(act, vec![("id", "nothing".into()), ("action", "expire".into())]).await.0, 409);

    let (_, made) = business(&usdc, "POST", "", Some((ONCE, basket()))).await;
    let pay: Url = made["url"].as_str().expect("an address").parse().expect("an address");
    assert!(page(pay.clone()).await.contains("100.00 USDC"));
    let (_, waits) = send(pay.clone(), vec![("how", "unconfirmed".into())]).await;
    assert!(waits.contains("Checkout Processing"), "{waits}");
    assert_eq!(send(pay.clone(), vec![("how", "confirm".into())]).await.0, 303);
    let checkout = made["id"].as_str().expect("an id").to_owned();
    let act = usdc.url().join("_control/act").expect("an address");
    assert_eq!(send(act.clone(), vec![("id", checkout.clone()), ("action", "refund".into())]).await.0, 303);
    assert!(page(usdc.url()).await.contains("Refund arrives"));
    assert_eq!(send(act, vec![("id", checkout), ("action", "arrive".into())]).await.0, 303);
    assert_eq!(usdc.balance(), cents(0));
}

#[tokio::test]
async fn what_was_kept_in_a_file_is_there_after_a_start() {
    use farebox::stand_ins::booth::BoothOptions;
    use farebox::stand_ins::btcpay::BtcPayConfig;
    let folder = tempfile::tempdir().expect("a folder");
    let options = || BoothOptions { webhook: None, state_file: Some(folder.path().join("btcpay.json")) };
    let config = || BtcPayConfig { store: STORE.to_owned(), api_key: API_KEY.to_owned() };
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let first = BtcPayStandIn::start(listen, config(), options()).expect("a stand-in");
    let id = invoice(&first, "20.00").await;
    first.pay(&id, cents(2_000));
    first.stop().await;
    let second = BtcPayStandIn::start(listen, config(), options()).expect("a stand-in");
    assert_eq!(second.invoice(&id).expect("it")["status"], json!("Settled"));
    assert_eq!(second.balance(), cents(2_000));
    std::fs::write(folder.path().join("btcpay.json"), "nonsense").expect("a file");
    let Err(error) = BtcPayStandIn::start(listen, config(), options()) else { panic!("it is damaged") };
    assert!(error.to_string().contains("delete it"), "{error}");
}
