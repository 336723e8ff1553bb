//! Limits under a storm: two processes, mixed, and changed in the middle of it.

use futures_util::future::join_all;
use rust_decimal::Decimal;
use serde_json::json;

use super::{ADA, PASSWORD, ada, make, saved, two};
use crate::stories::issuers;
use crate::stories::management::{ask, issue};
use crate::stories::teams::fund;
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Key, calendar, team};

/// Calls at once; each costs exactly one cent.
const CALLS: usize = 500;

async fn storm(first: &Farebox, second: &Farebox, keys: &[&Key]) -> Vec<u16> {
    let calls = (0..CALLS).map(|number| async move {
        let farebox = if number % 2 == 0 { first } else { second };
        let more = if number % 3 == 0 { json!({ "stream": true }) } else { json!({}) };
        let answer = farebox.chat(keys[number % keys.len()], "sandbox/penny", "one cent", more).await;
        let status = answer.status().as_u16();
        answer.text().await.expect("a body");
        status
    });
    join_all(calls).await
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|s| **s == status).count()
}

async fn decimal(farebox: &Farebox, query: &'static str) -> Decimal {
    sqlx::query_scalar(query).fetch_one(&farebox.pool).await.expect("an amount")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_calls_ever_of_a_key_stop_at_its_day() {
    calendar::within_a_day().await;
    let (first, second) = two().await;
    let mut ada = ada(&first).await;
    let key = make(&mut ada, &[("day", "0.40"), ("month", "3"), ("total", "9")]).await;
    let statuses = storm(&first, &second, &[&key]).await;
    assert_eq!((count(&statuses, 200), count(&statuses, 403)), (40, CALLS - 40), "{statuses:?}");
    first.holds_are_closed().await;
    assert_eq!(first.text("select spent_day::text from meter where kind = 'key'").await, "0.400000000000");
    first.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_keys_of_a_member_together_stop_at_the_members_cap() {
    calendar::within_a_day().await;
    let (first, second) = two().await;
    let mut ada = ada(&first).await;
    let one = make(&mut ada, &[("total", "9")]).await;
    let other = make(&mut ada, &[]).await;
    sqlx::query("update meter set limit_week = 0.70 where kind = 'member'").execute(&first.pool).await.expect("a cap");
    let statuses = storm(&first, &second, &[&one, &other]).await;
    assert_eq!((count(&statuses, 200), count(&statuses, 403)), (70, CALLS - 70), "{statuses:?}");
    first.holds_are_closed().await;
    assert_eq!(decimal(&first, "select sum(spent_total) from meter where kind = 'key'").await, Decimal::new(70, 2));
    first.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_is_changed_in_the_middle_holds_from_then_on() {
    let (first, second) = two().await;
    let mut ada = ada(&first).await;
    let key = make(&mut ada, &[("total", "4")]).await;
    let lower = async {
        for _ in 0..500 {
            if decimal(&first, "select spent_total from meter where kind = 'key'").await >= Decimal::new(20, 2) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        // What is spent or held when the new limit is written may still be settled; nothing more.
        decimal(&first, "update meter set limit_total = 0.50 where kind = 'key' returning spent_total + held").await
    };
    let (statuses, owed) = futures_util::future::join(storm(&first, &second, &[&key]), lower).await;
    first.holds_are_closed().await;
    let spent = decimal(&first, "select spent_total from meter where kind = 'key'").await;
    assert!(spent <= owed.max(Decimal::new(50, 2)), "{spent} spent, {owed} when it was lowered");
    assert_eq!(Decimal::from(count(&statuses, 200)), spent * Decimal::ONE_HUNDRED);
    // Raised on its page, the rest may be spent, to the cent.
    saved(&mut ada, &key.id, &[("total", "4.50")]).await;
    storm(&first, &second, &[&key]).await;
    first.holds_are_closed().await;
    let spent = decimal(&first, "select spent_total from meter where kind = 'key'").await;
    assert_eq!(spent, Decimal::new(450, 2));
    assert_eq!(first.text("select email from person").await, ADA);
    first.books_are_clean().await;
}

/// Calls while a limit of thirty cents is raised, lowered below what is spent, and raised again, and once more after that: in
/// the end exactly the last limit is spent, which is the highest.
async fn ends_at_the_last_limit(first: &Farebox, second: &Farebox, keys: &[&Key], edit: impl AsyncFn(&'static str)) {
    let editing = async {
        for limit in ["0.90", "0.60", "1.20"] {
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            edit(limit).await;
        }
    };
    let (during, ()) = futures_util::future::join(storm(first, second, keys), editing).await;
    let after = storm(first, second, keys).await;
    first.holds_are_closed().await;
    let answers: Vec<u16> = during.into_iter().chain(after).collect();
    assert!(answers.iter().all(|status| matches!(status, 200 | 402 | 403)), "{answers:?}");
    assert_eq!(count(&answers, 200), 120, "a hundred and twenty cents, however the limit came there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_a_key_that_is_edited_on_its_page_meanwhile_holds() {
    calendar::within_a_day().await;
    let (first, second) = two().await;
    let mut visitor = ada(&first).await;
    let key = make(&mut visitor, &[("day", "0.30"), ("total", "9")]).await;
    let visitor = tokio::sync::Mutex::new(visitor);
    let edit = async |limit: &'static str| saved(&mut *visitor.lock().await, &key.id, &[("day", limit)]).await;
    ends_at_the_last_limit(&first, &second, &[&key], edit).await;
    let spent = first.text("select spent_day::text from meter where kind = 'key'").await;
    assert_eq!(spent, "1.200000000000");
    first.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_a_budget_and_an_issued_key_that_are_edited_meanwhile_hold() {
    calendar::within_a_day().await;
    let (first, second) = two().await;
    let mut visitor = Visitor::member(&first, ADA, PASSWORD).await;
    team::create(&mut visitor, "Engines").await;
    fund(&first, &mut visitor, "20").await;
    let cap = format!("/settings/members/{}/cap", team::person(&first, ADA).await);
    let (one, two) = (team::key(&mut visitor, "One").await, team::key(&mut visitor, "Two").await);
    let [one, two] = [one, two].map(|text| Key { text, org: String::new(), id: String::new() });
    let bot = issuers::by_hand(&mut visitor, &[("total", "0.30")]).await;
    let (minted, _) = issue(&first, &bot, json!({ "name": "one" })).await;
    let (other, _) = issue(&first, &bot, json!({ "name": "other" })).await;
    let wide = issuers::by_hand(&mut visitor, &[]).await;
    let (patched, hash) =
        issue(&first, &wide, json!({ "name": "patched", "limit": 0.3, "limit_reset": "weekly" })).await;
    let visitor = tokio::sync::Mutex::new(visitor);

    let set_cap = async |limit: &'static str| {
        let page = visitor.lock().await.submit("/settings/members", &cap, &[("month", limit)]).await;
        assert_eq!(page.status, 303, "{}", page.body);
    };
    set_cap("0.30").await;
    ends_at_the_last_limit(&first, &second, &[&one, &two], set_cap).await;
    let page = visitor.lock().await.submit("/settings/members", &cap, &[]).await;
    assert_eq!(page.status, 303);

    let budget = async |limit: &'static str| {
        let page = issuers::edit(&mut *visitor.lock().await, &bot, &[("total", limit)]).await;
        assert_eq!(page.status, 303, "{}", page.body);
    };
    ends_at_the_last_limit(&first, &second, &[&minted, &other], budget).await;

    let path = format!("/api/v1/keys/{hash}");
    let patch = async |limit: &'static str| {
        let body = json!({ "limit": limit.parse::<f64>().expect("a number") });
        ask(&second, &wide, ("PATCH", &path), Some(body), 200).await;
    };
    ends_at_the_last_limit(&first, &second, &[&patched], patch).await;
    let spent = decimal(&first, "select sum(spent_total) from meter where kind = 'key'").await;
    assert_eq!(spent, Decimal::new(360, 2));
    first.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credits_that_come_in_meanwhile_are_spent_and_no_more() {
    let (first, second) = two().await;
    let key = first.key(ADA, "0.30", &[]).await;
    let coming = async {
        for amount in ["0.60", "0.10", "0.20"] {
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            first.cli(&["credits", "grant", "--email", ADA, "--amount", amount]).await;
        }
    };
    let (during, ()) = futures_util::future::join(storm(&first, &second, &[&key]), coming).await;
    let after = storm(&first, &second, &[&key]).await;
    first.holds_are_closed().await;
    let answers: Vec<u16> = during.into_iter().chain(after).collect();
    assert_eq!(count(&answers, 200), 120, "{answers:?}");
    assert_eq!(count(&answers, 402), 2 * CALLS - 120);
    assert_eq!(first.text("select posted::text from credit where posted = 0").await, "0.000000000000");
    first.books_are_clean().await;
}
