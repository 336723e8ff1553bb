//! What holds whatever the HTTP around it.

use serde_json::{Value, json};

use super::books::{Books, Cause, House, Work};
use super::dispatch::dispatch;
use super::error::Refusal;
use super::form::Form;
use super::hosted::{self, Click, Outcome, PayAs};
use super::{attempts, disputes, refunds, sessions};

/// Any moment.
const NOW_MS: i64 = 1_800_000_000_000;

struct Town {
    books: Books,
    house: House,
    now_ms: i64,
}

impl Town {
    fn new() -> Town {
        let base = "http://127.0.0.1:1".to_owned();
        let house = House { account: "acct_1".to_owned(), livemode: false, base, has_webhook: true };
        Town { books: Books::default(), house, now_ms: NOW_MS }
    }

    fn act<T>(&mut self, step: impl FnOnce(&mut Work) -> T) -> T {
        let mut work =
            Work { books: &mut self.books, house: &self.house, now_ms: self.now_ms, cause: Cause::default() };
        sessions::expire_due(&mut work);
        step(&mut work)
    }

    fn call(&mut self, method: &str, path: &str, body: &str) -> Result<Value, Refusal> {
        let form = Form::decode(body.as_bytes()).expect("a form");
        self.act(|work| dispatch(work, method, path, &form))
    }

    fn session(&mut self, kind: &str, more: &str) -> String {
        let body = format!(
            "mode=payment&success_url=https://shop.example/done?s={{CHECKOUT_SESSION_ID}}&cancel_url=https://shop.example/back\
             &allowed_payment_method_types[]={kind}&line_items[0][quantity]=1&line_items[0][price_data][currency]=usd\
             &line_items[0][price_data][unit_amount]=2110&line_items[0][price_data][product_data][name]=Credits{more}"
        );
        let session = self.call("POST", "checkout/sessions", &body).expect("a session");
        assert_eq!(session["payment_intent"], json!(null), "nothing to tell before somebody pays");
        session["id"].as_str().expect("an id").to_owned()
    }

    fn click(&mut self, session: &str, how: PayAs) -> Result<Outcome, Refusal> {
        self.act(|work| hosted::click(work, session, &Click { how, method: None, keep: false }))
    }

    /// A paid session's payment intent.
    fn paid(&mut self) -> String {
        let session = self.session("card", "");
        self.click(&session, PayAs::Succeed).expect("paid");
        self.object(&session)["payment_intent"].as_str().expect("an intent").to_owned()
    }

    fn object(&self, id: &str) -> Value {
        self.books.get(id).cloned().expect("an object")
    }

    fn told(&self) -> Vec<String> {
        let mut kinds: Vec<String> =
            self.books.all("event").map(|event| event["type"].as_str().expect("a type").to_owned()).collect();
        kinds.reverse();
        kinds
    }
}

#[test]
fn a_card_pays_a_session_at_once() {
    let mut town = Town::new();
    let session = town.session("card", "&payment_intent_data[metadata][topup]=top_1");
    let outcome = town.click(&session, PayAs::Succeed).expect("paid");
    assert_eq!(outcome, Outcome::GoTo(format!("https://shop.example/done?s={session}")));
    let told = town.object(&session);
    assert_eq!((&told["status"], &told["payment_status"]), (&json!("complete"), &json!("paid")));
    let intent = town.object(told["payment_intent"].as_str().expect("an intent"));
    assert_eq!(intent["amount_received"], 2110);
    assert_eq!(intent["metadata"]["topup"], "top_1");
    assert_eq!(town.object(intent["latest_charge"].as_str().expect("a charge"))["metadata"]["topup"], "top_1");
    assert_eq!(
        town.told(),
        ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"]
    );
    assert_eq!(town.books.balance(), 2110);
    assert!(town.click(&session, PayAs::Succeed).is_err(), "only once");
}

#[test]
fn a_decline_leaves_the_session_open_for_another_try() {
    let mut town = Town::new();
    let session = town.session("card", "");
    assert!(matches!(town.click(&session, PayAs::Decline), Ok(Outcome::Declined(_))));
    assert_eq!(town.object(&session)["status"], "open");
    assert_eq!(town.object(&session)["payment_intent"], json!(null));
    town.click(&session, PayAs::Succeed).expect("paid");
    assert_eq!(town.books.all("payment_intent").count(), 1, "the same intent is tried again");
    assert_eq!(town.books.balance(), 2110);
}

#[test]
fn a_bank_account_pays_later_or_not_at_all() {
    for came in [true, false] {
        let mut town = Town::new();
        let session = town.session("us_bank_account", "");
        town.click(&session, PayAs::Delay).expect("started");
        let told = town.object(&session);
        assert_eq!((&told["status"], &told["payment_status"]), (&json!("complete"), &json!("unpaid")));
        assert_eq!(town.books.balance(), 0);
        let intent = told["payment_intent"].as_str().expect("an intent").to_owned();
        town.act(|work| attempts::settle(work, &intent, came)).expect("settled");
        let last =
            if came { "checkout.session.async_payment_succeeded" } else { "checkout.session.async_payment_failed" };
        assert_eq!(town.told().last().map(String::as_str), Some(last));
        assert_eq!(town.books.balance(), if came { 2110 } else { 0 });
        assert_eq!(town.object(&session)["payment_status"], if came { "paid" } else { "unpaid" });
        assert!(town.act(|work| attempts::settle(work, &intent, came)).is_err(), "only once");
    }
}

#[test]
fn the_balance_is_what_was_paid_less_refunds_and_disputes() {
    let mut town = Town::new();
    let (first, second) = (town.paid(), town.paid());
    let refund = town.call("POST", "refunds", &format!("payment_intent={first}&amount=1000")).expect("a refund");
    assert_eq!(town.books.balance(), 2 * 2110 - 1000);
    let over = town.call("POST", "refunds", &format!("payment_intent={first}&amount=1111")).expect_err("too much");
    assert_eq!(over.status(), 400);
    let id = refund["id"].as_str().expect("an id");
    town.act(|work| refunds::finish(work, id, false)).expect("it failed");
    assert_eq!(town.books.balance(), 2 * 2110);
    town.call("POST", "refunds", &format!("payment_intent={first}")).expect("all of it");
    let again = town.call("POST", "refunds", &format!("payment_intent={first}")).expect_err("nothing left");
    assert_eq!(again.reason(), "charge_already_refunded");

    let dispute = town.act(|work| disputes::open(work, &second, Some(500))).expect("a dispute");
    assert_eq!(town.books.balance(), 2110 - 500);
    let refused = town.call("POST", "refunds", &format!("payment_intent={second}")).expect_err("disputed");
    assert_eq!(refused.reason(), "charge_disputed");
    let id = dispute["id"].as_str().expect("an id");
    town.act(|work| disputes::close(work, id, true)).expect("won");
    assert_eq!(town.books.balance(), 2110);
}

#[test]
fn a_saved_card_is_charged_without_the_person_unless_the_bank_asks() {
    let mut town = Town::new();
    let customer = town.call("POST", "customers", "email=a@example.com").expect("a customer");
    let customer = customer["id"].as_str().expect("an id").to_owned();
    let keep = format!("&customer={customer}&payment_method_options[card][setup_future_usage]=off_session");
    let session = town.session("card", &keep);
    town.click(&session, PayAs::Succeed).expect("paid");
    let saved = town.call("GET", "payment_methods", &format!("customer={customer}&type=card")).expect("a list");
    let method = saved["data"][0]["id"].as_str().expect("a saved card").to_owned();
    let charge =
        format!("amount=500&currency=usd&customer={customer}&payment_method={method}&off_session=true&confirm=true");
    let paid = town.call("POST", "payment_intents", &charge).expect("paid");
    assert_eq!(paid["status"], "succeeded");
    town.books.switches.authenticate = 1;
    let refusal = town.call("POST", "payment_intents", &charge).expect_err("the bank asks");
    assert_eq!((refusal.status(), refusal.reason()), (402, "authentication_required"));
    assert_eq!(refusal.body()["error"]["payment_intent"]["status"], "requires_payment_method");
    town.books.switches.decline = 1;
    town.books.switches.decline_code = "insufficient_funds".to_owned();
    let refusal = town.call("POST", "payment_intents", &charge).expect_err("declined");
    assert_eq!((refusal.status(), refusal.reason()), (402, "card_declined"));
    assert_eq!(refusal.body()["error"]["decline_code"], "insufficient_funds");
    assert_eq!(town.books.balance(), 2110 + 500);
}

#[test]
fn with_the_person_there_the_bank_asks_on_its_own_page() {
    let mut town = Town::new();
    let body = "amount=500&currency=usd&payment_method=pm_card_authenticationRequired&confirm=true&return_url=https://shop.example/back";
    for approved in [false, true] {
        let asked = town.call("POST", "payment_intents", body).expect("it waits");
        assert_eq!(
            (&asked["status"], &asked["next_action"]["type"]),
            (&json!("requires_action"), &json!("redirect_to_url"))
        );
        let id = asked["id"].as_str().expect("an id").to_owned();
        let Ok(Outcome::GoTo(url)) = town.act(|work| hosted::authenticate(work, &id, approved)) else { panic!("back") };
        assert!(url.contains(if approved { "redirect_status=succeeded" } else { "redirect_status=failed" }), "{url}");
        assert_eq!(town.object(&id)["status"], if approved { "succeeded" } else { "requires_payment_method" });
    }
    assert_eq!(town.books.balance(), 500);
}

#[test]
fn a_session_ends_with_its_time() {
    let mut town = Town::new();
    let session = town.session("card", &format!("&expires_at={}", NOW_MS / 1000 + 1800));
    town.now_ms += 1_800_000;
    let told = town.call("GET", &format!("checkout/sessions/{session}"), "").expect("a session");
    assert_eq!(told["status"], "expired");
    assert_eq!(town.told(), ["checkout.session.expired"]);
    assert!(town.click(&session, PayAs::Succeed).is_err());
}

#[test]
fn lists_page_newest_first_without_losing_one() {
    let mut town = Town::new();
    let made: Vec<String> = (0..25).map(|_| town.paid()).collect();
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = town.call("GET", "payment_intents", &format!("limit=10{after}")).expect("a page");
        let ids =
            page["data"].as_array().expect("a list").iter().map(|one| one["id"].as_str().expect("an id").to_owned());
        seen.extend(ids);
        if page["has_more"] != true {
            break;
        }
        after = format!("&starting_after={}", seen.last().expect("a last one"));
    }
    seen.reverse();
    assert_eq!(seen, made);
    let none = town.call("GET", "payment_intents", &format!("created[gt]={}", NOW_MS / 1000)).expect("a page");
    assert_eq!(none["data"], json!([]));
}

#[test]
fn ids_are_answered_as_objects_when_asked() {
    let mut town = Town::new();
    let intent = town.paid();
    let list = town.call(
        "GET",
        "payment_intents",
        "expand[]=data.latest_charge&expand[]=data.latest_charge.balance_transaction",
    );
    let list = list.expect("a list");
    assert_eq!(list["data"][0]["latest_charge"]["balance_transaction"]["net"], 2110 - 91);
    let sessions = town.call(
        "GET",
        "checkout/sessions",
        &format!("payment_intent={intent}&expand[]=data.payment_intent.latest_charge"),
    );
    assert_eq!(sessions.expect("a list")["data"][0]["payment_intent"]["latest_charge"]["paid"], true);
    let wrong = town.call("GET", &format!("payment_intents/{intent}"), "expand[]=currency");
    assert_eq!(wrong.expect_err("no object").status(), 400);
}

#[test]
fn what_cannot_be_kept_for_later_is_not_promised() {
    let mut town = Town::new();
    let body = "mode=payment&success_url=https://shop.example/done&allowed_payment_method_types[]=alipay\
                &payment_method_options[alipay][setup_future_usage]=off_session\
                &line_items[0][quantity]=1&line_items[0][price_data][currency]=usd\
                &line_items[0][price_data][unit_amount]=2110&line_items[0][price_data][product_data][name]=Credits";
    let refusal = town.call("POST", "checkout/sessions", body).expect_err("not reusable");
    assert_eq!(refusal.body()["error"]["param"], "payment_method_options[alipay][setup_future_usage]");
}

#[test]
fn methods_that_do_not_fit_are_left_out_and_the_old_way_to_choose_them_is_refused() {
    let mut town = Town::new();
    let all = "&allowed_payment_method_types[]=wechat_pay&allowed_payment_method_types[]=cashapp";
    let session = town.session("card", &format!("{all}&payment_intent_data[setup_future_usage]=off_session"));
    assert_eq!(town.object(&session)["payment_method_types"], json!(["card", "cashapp"]));
    let refusal = town.call("POST", "payment_intents", "amount=500&currency=usd&payment_method_types[]=card");
    assert_eq!(refusal.expect_err("gone").reason(), "payment_method_types_no_longer_supported");
    let none = town.call("POST", "payment_intents", "amount=500&currency=eur&allowed_payment_method_types[]=cashapp");
    assert_eq!(none.expect_err("nothing fits").status(), 400);
}

#[test]
fn the_state_survives_as_text() {
    let mut town = Town::new();
    town.paid();
    let text = serde_json::to_string(&town.books).expect("text");
    let mut again: Books = serde_json::from_str(&text).expect("books");
    again.after_start();
    assert_eq!(again.balance(), 2110);
    assert_eq!(again.queue.len(), town.books.queue.len());
    assert_eq!(serde_json::to_string(&again).expect("text"), text);
}
