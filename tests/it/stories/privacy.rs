//! Privacy: each switch off and on in real calls, seen at the providers, and what is kept of texts.

use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::leaving::{a_week_passes, run};
use crate::support::routes::{PASSWORD, Routes};
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Key, lab, team};

pub const PAGE: &str = "/settings/privacy";
/// What is on without anybody doing anything.
pub const USUAL: &[(&str, &str)] =
    &[("paid_training", "yes"), ("free_training", "yes"), ("keep_days", "30"), ("keys_see_balance", "yes")];

pub async fn set(ada: &mut Visitor<'_>, fields: &[(&str, &str)]) {
    let page = ada.submit(PAGE, PAGE, fields).await;
    assert_eq!(page.status, 303, "{}", page.body);
}

fn only(slug: &str) -> Value {
    json!({ "model": "lab/chat", "provider": { "only": [slug] } })
}

/// Calls until one ends with this status: within a second, where the machine is not busy.
async fn until(routes: &Routes, body: &Value, status: u16) -> Value {
    for _ in 0..100 {
        let (found, asked, told) = routes.told(&routes.key, body.clone()).await;
        if found == status {
            assert_eq!(asked.is_empty(), status != 200, "a refused call goes nowhere");
            return told;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{body} never ended with {status}");
}

fn why(told: &Value) -> &Value {
    &told["error"]["metadata"]["left_out"]["gamma"]
}

/// Gamma trains on what it is sent and keeps it; alpha and beta do neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_switch_changes_who_is_asked() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let page = ada.get(PAGE).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("Lab gamma"), "a switch says whom it leaves out: {}", page.body);
    until(&routes, &only("gamma"), 200).await;

    // Training on inputs of paid models.
    set(&mut ada, &USUAL[1..]).await;
    let told = until(&routes, &only("gamma"), 404).await;
    assert_eq!(
        why(&told),
        "it may train on what it is sent, which your privacy settings forbid for paid models",
        "{told}"
    );
    assert!(told["error"]["message"].as_str().is_some_and(|text| text.contains("privacy settings")), "{told}");
    until(&routes, &only("alpha"), 200).await;
    // What a call says itself does not widen it.
    let loose = json!({ "model": "lab/chat", "provider": { "only": ["gamma"], "data_collection": "allow" } });
    until(&routes, &loose, 404).await;
    set(&mut ada, USUAL).await;
    until(&routes, &only("gamma"), 200).await;
    // And where the organization allows it, a call may still forbid it.
    let strict = json!({ "model": "lab/chat", "provider": { "only": ["gamma"], "data_collection": "deny" } });
    until(&routes, &strict, 404).await;

    // Zero data retention.
    set(&mut ada, &[USUAL, &[("zero_retention", "yes")]].concat()).await;
    let told = until(&routes, &only("gamma"), 404).await;
    assert_eq!(
        why(&told),
        "it keeps what it is sent, and your privacy settings allow zero data retention only",
        "{told}"
    );
    let not = json!({ "model": "lab/chat", "provider": { "only": ["gamma"], "zdr": false } });
    until(&routes, &not, 404).await;
    set(&mut ada, USUAL).await;
    until(&routes, &only("gamma"), 200).await;

    // Free models have a switch of their own.
    let free = crate::support::routes::catalog(&routes.upstream)
        .replace("price = { prompt = \"4\", completion = \"8\" }", "price = { prompt = \"0\", completion = \"0\" }");
    lab::apply(&routes.farebox.database_url, &free).await;
    set(&mut ada, &[("paid_training", "yes"), ("keep_days", "30")]).await;
    let told = until(&routes, &only("gamma"), 404).await;
    assert_eq!(
        why(&told),
        "it may train on or publish what it is sent, which your privacy settings forbid for free models",
        "{told}"
    );
    set(&mut ada, &USUAL[1..]).await;
    until(&routes, &only("gamma"), 200).await;

    let log: i64 = sqlx::query_scalar("select count(*) from audit_entry where action = 'settings.privacy_changed'")
        .fetch_one(&routes.farebox.pool)
        .await
        .expect("the log");
    assert_eq!(log, 6, "every change stands in the log");
    // No cookie but those that the product needs.
    ada.get("/").await;
    let names: Vec<String> = ada.cookies().iter().map(|(name, _)| name.clone()).collect();
    assert!(
        names.iter().all(|name| name.contains("farebox") || name.contains("session") || name.contains("device")),
        "{names:?}"
    );
    set(&mut ada, &[USUAL, &[("analytics_cookies", "yes")]].concat()).await;
    ada.get("/").await;
    assert_eq!(ada.cookies().len(), names.len(), "on sets none either");
}

pub async fn stored(farebox: &Farebox, wanted: i64) {
    let mut count = -1;
    for _ in 0..200 {
        count = sqlx::query_scalar("select count(*) from call_text").fetch_one(&farebox.pool).await.expect("a count");
        if count == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{count} texts are stored, not {wanted}\n{}", farebox.log());
}

fn number(value: &Value) -> Decimal {
    value.to_string().parse().unwrap_or_else(|_| panic!("{value} is no number"))
}

pub fn says(text: &str, stream: bool) -> Value {
    json!({ "model": "lab/other", "stream": stream, "messages": [{ "role": "user", "content": text }] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_stored_while_it_is_on_sealed_and_for_a_discount() {
    let routes = Routes::start().await;
    let farebox = &routes.farebox;
    let mut ada = routes.ada();
    let secret = "my grandmother's recipe for plum cake";
    let (_, _, before) = routes.told(&routes.key, says(secret, false)).await;
    set(&mut ada, &[USUAL, &[("log_texts", "yes")]].concat()).await;
    let mut on = Value::Null;
    for _ in 0..100 {
        on = routes.told(&routes.key, says(secret, false)).await.2;
        if on["usage"]["cost_details"].get("data_discount").is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (full, paid) = (number(&before["usage"]["cost"]), number(&on["usage"]["cost"]));
    let discount = number(&on["usage"]["cost_details"]["data_discount"]);
    assert_eq!((paid, discount * Decimal::ONE_HUNDRED), ((full - discount).normalize(), full), "{on}");
    stored(farebox, 1).await;
    let streamed = farebox.post(&routes.key, "/api/v1/chat/completions", &says(secret, true)).await;
    let streamed = streamed.text().await.expect("a stream");
    stored(farebox, 2).await;

    // Whoever made the call reads it; the discount is a line of its own.
    let id = on["id"].as_str().expect("an id");
    let page = ada.get(&format!("/activity/{id}")).await.body;
    for text in ["plum cake", "Hello from the fake upstream.", "Discount for storing inputs and outputs"] {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    let id = lab::events(&streamed)[0]["id"].as_str().expect("an id").to_owned();
    assert!(ada.get(&format!("/activity/{id}")).await.body.contains("data: {"), "a stream is kept as it was sent");
    // It lies sealed.
    let rows: Vec<Vec<u8>> =
        sqlx::query_scalar("select ciphertext from call_text").fetch_all(&farebox.pool).await.expect("rows");
    for row in rows {
        assert!(!row.windows(5).any(|part| part == b"grand") && !row.windows(4).any(|part| part == b"Hell"));
    }
    // Long ones are cut, and the page says so.
    let long = routes.told(&routes.key, says(&"x".repeat(300 * 1_024), false)).await.2;
    stored(farebox, 3).await;
    let page = ada.get(&format!("/activity/{}", long["id"].as_str().expect("an id"))).await.body;
    assert!(page.contains("The first 256 KB of 301 KB."), "{}", page.len());

    // Off: nothing new, and the full price; what is there stays until it is deleted.
    set(&mut ada, USUAL).await;
    let mut kept = 3;
    for _ in 0..100 {
        let told = routes.told(&routes.key, says(secret, false)).await.2;
        if told["usage"]["cost_details"].get("data_discount").is_none() {
            break;
        }
        kept += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (_, _, off) = routes.told(&routes.key, says(secret, false)).await;
    assert_eq!(number(&off["usage"]["cost"]), full);
    tokio::time::sleep(Duration::from_millis(300)).await;
    stored(farebox, kept).await;
    let address = "/settings/privacy/texts/delete";
    let deleted = ada.submit(address, address, &[("typed", "delete")]).await;
    assert_eq!(deleted.status, 303, "{}", deleted.body);
    stored(farebox, 0).await;
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

/// Into the organization that is open; the command line funds only what is somebody's own.
async fn move_credits(owner: &mut Visitor<'_>) {
    let page = owner.get("/credits/move").await.body;
    let mut fields = crate::support::visitor::form(&page, "/credits/move");
    fields.retain(|(name, _)| name != "amount" && name != "csrf_token");
    fields.push(("amount".to_owned(), "20".to_owned()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let moved = owner.submit("/credits/move", "/credits/move", &fields).await;
    assert_eq!(moved.status, 303, "{}", moved.body);
}

/// Also those of the chat, which is booked on no key that anybody made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_erased_takes_the_texts_of_their_calls_along() {
    let routes = Routes::start().await;
    let farebox = &routes.farebox;
    let mut ada = routes.ada();
    let org = team::create(&mut ada, "Lab").await;
    let mut bob = Visitor::member(farebox, "bob@example.com", PASSWORD).await;
    team::bring_in(farebox, &mut ada, &mut bob, "bob@example.com", "member").await;
    team::open(&mut bob, &org).await;
    move_credits(&mut ada).await;
    set(&mut ada, &[USUAL, &[("log_texts", "yes")]].concat()).await;
    let text = team::key(&mut bob, "mine").await;
    let key = Key { text, org: org.clone(), id: String::new() };
    assert_eq!(routes.told(&key, says("by his key", false)).await.0, 200);
    for visitor in [&mut ada, &mut bob] {
        let token = visitor.token("/settings/profile").await;
        let request = farebox.http.post(farebox.url("/chat/completions")).header("x-csrf-token", token);
        let page = visitor.send(request.json(&says("by hand", true))).await;
        assert_eq!(page.status, 200, "{}", page.body);
    }
    stored(farebox, 3).await;
    let gone = bob.submit("/settings/delete", "/settings/delete", &[("typed", "bob@example.com")]).await;
    assert_eq!(gone.status, 303, "{}", gone.body);
    a_week_passes(farebox).await;
    for _ in 0..100 {
        if farebox.text("select count(*)::text from account_deletion where erased_at is not null").await == "1" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    run(farebox, "update graphile_worker._private_jobs set run_at = now() where key like 'erase_calls:%'").await;
    stored(farebox, 1).await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_for_who_called_and_for_owners_and_admins_and_end_with_their_time() {
    let routes = Routes::start().await;
    let farebox = &routes.farebox;
    let mut ada = routes.ada();
    let org = team::create(&mut ada, "Lab").await;
    let mut people = Vec::new();
    for (name, role) in [("bob", "member"), ("bill", "billing"), ("carl", "admin")] {
        let email = format!("{name}@example.com");
        let mut visitor = Visitor::member(farebox, &email, PASSWORD).await;
        team::bring_in(farebox, &mut ada, &mut visitor, &email, role).await;
        team::open(&mut visitor, &org).await;
        people.push(visitor);
    }
    move_credits(&mut ada).await;
    set(&mut ada, &[USUAL, &[("log_texts", "yes")]].concat()).await;
    let text = team::key(&mut people[0], "mine").await;
    let key = Key { text, org: org.clone(), id: String::new() };
    let secret = "the blue notebook is under the stairs";
    let told = routes.told(&key, says(secret, false)).await.2;
    stored(farebox, 1).await;
    let page = format!("/activity/{}", told["id"].as_str().expect("an id"));
    assert!(people[0].get(&page).await.body.contains("blue notebook"), "whoever called");
    assert!(people[2].get(&page).await.body.contains("blue notebook"), "an admin");
    assert!(ada.get(&page).await.body.contains("blue notebook"), "the owner");
    let seen = people[1].get(&page).await;
    assert!(seen.status == 200 && !seen.body.contains("blue notebook"), "billing sees the cost and not the words");
    let form = people[0].submit("/settings/profile", PAGE, USUAL).await;
    assert_eq!(form.status, 403, "a member changes nothing");
    // Its time is over: nobody reads it, before and after the janitor came by.
    sqlx::query("update call_text set expires_at = now()").execute(&farebox.pool).await.expect("over");
    assert!(!ada.get(&page).await.body.contains("blue notebook"));
    let mut left = 1_i64;
    for _ in 0..900 {
        left = sqlx::query_scalar("select count(*) from call_text").fetch_one(&farebox.pool).await.expect("a count");
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(left, 0, "the janitor comes by once a minute");
}

/// Where a text cannot be written the call is as it was: the table is away, and nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_cannot_be_stored_breaks_nothing() {
    let routes = Routes::start().await;
    let farebox = &routes.farebox;
    let mut ada = routes.ada();
    set(&mut ada, &[USUAL, &[("log_texts", "yes")]].concat()).await;
    sqlx::query("alter table call_text rename to call_text_away").execute(&farebox.pool).await.expect("away");
    for _ in 0..5 {
        let (status, _, told) = routes.told(&routes.key, says("anything", false)).await;
        assert_eq!(status, 200, "{told}");
    }
    let mut said = false;
    for _ in 0..200 {
        said = farebox.log().contains("the texts of a call are not kept");
        if said {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(said, "{}", farebox.log());
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
    sqlx::query("alter table call_text_away rename to call_text").execute(&farebox.pool).await.expect("back");
}
