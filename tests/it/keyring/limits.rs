//! Limits under a storm: two processes, mixed, and changed in the middle of it.

use futures_util::future::join_all;
use rust_decimal::Decimal;
use serde_json::json;

use super::{ADA, ada, make, saved, two};
use crate::support::{Farebox, Key};

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
