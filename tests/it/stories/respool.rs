//! Settlements that could not be written, put back after the cause is mended.

use std::path::Path;

use serde_json::json;

use crate::support::{Farebox, Options};

async fn run(farebox: &Farebox, statement: &'static str) {
    sqlx::raw_sql(statement).execute(&farebox.pool).await.expect("done");
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

async fn ledger(farebox: &Farebox, what: &str) -> (bool, String) {
    let output = farebox.cli(&["ledger", what]).await;
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_written_is_put_back_and_charged_once() {
    let mut farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let dead = farebox.data_dir().join("spool/dead");
    // As if a newer version had a rule that the rows of this one break.
    run(&farebox, "alter table usage add constraint no_penny check (model <> 'sandbox/penny') not valid").await;
    let answer = farebox.chat(&key, "sandbox/penny", "hi", json!({})).await;
    assert_eq!(answer.status(), 200, "the client is served: its call is on disk");
    for _ in 0..200 {
        if files(&dead) == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(files(&dead), 1, "{}", farebox.log());
    let (ok, told) = ledger(&farebox, "dead").await;
    assert!(ok && told.contains("call gen-") && told.contains("1 lines"), "{told}");
    assert_eq!(farebox.text("select count(*)::text from usage").await, "0");

    // A line that is no settlement stays, and is told.
    std::fs::write(dead.join("0-other.jsonl"), "deadbeef {\"torn\n").expect("written");
    run(&farebox, "alter table usage drop constraint no_penny").await;
    let (ok, told) = ledger(&farebox, "respool").await;
    assert!(!ok && told.contains("1 settlements put back, 1 lines are none"), "{told}");
    let (_, told) = ledger(&farebox, "dead").await;
    assert!(told.contains("a line that is no settlement"), "{told}");

    // The next start writes it before anything is swept; a running server would within half a minute.
    assert!(farebox.stop().await.success());
    let (database_url, data_dir) = (Some(farebox.database_url.clone()), Some(farebox.data_dir()));
    let again = Farebox::with(Options { database_url, data_dir, ..Options::default() }).await;
    assert_eq!(again.text("select status || ' ' || cost::text from usage").await, "success 0.010000000000");
    assert_eq!(again.text("select sum(amount)::text from transfer where code = 'usage'").await, "0.010000000000");
    again.holds_are_closed().await;
    again.books_are_clean().await;
    let (_, told) = ledger(&again, "respool").await;
    assert!(told.contains("0 settlements put back"), "{told}");
}
