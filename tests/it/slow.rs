//! Statements that take long are logged, without what they were given.

use std::time::Duration;

use sqlx::{Connection, PgConnection};

use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options};

const EMAIL: &str = "slow-4711@example.com";

/// Somebody asks for their account while its table is locked.
async fn ask_slowly(farebox: &Farebox, held: Duration) {
    let mut lock = PgConnection::connect(&farebox.database_url).await.expect("the database");
    let mut tx = lock.begin().await.expect("a transaction");
    sqlx::query("lock table person in access exclusive mode").execute(&mut *tx).await.expect("the lock");
    let release = async {
        tokio::time::sleep(held).await;
        tx.rollback().await.expect("done");
    };
    let mut visitor = Visitor::new(farebox);
    let form = [("email", EMAIL), ("password", "a wrong password 0815")];
    let (page, ()) = tokio::join!(visitor.submit("/sign-in", "/sign-in", &form), release);
    assert!(page.status < 500, "{}", page.body);
}

async fn counted(farebox: &Farebox) -> f64 {
    let text = farebox.http.get(farebox.url("/metrics")).send().await.expect("an answer").text().await.expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix("farebox_slow_statements_total "));
    line.expect("it is shown").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_statement_is_logged_with_its_text_and_without_its_values() {
    let limit = [("FAREBOX_SLOW_QUERY_MS", "300".to_owned()), ("FAREBOX_LOG_FORMAT", "json".to_owned())];
    let farebox = Farebox::with(Options { env: limit.to_vec(), ..Options::default() }).await;
    ask_slowly(&farebox, Duration::from_millis(900)).await;
    let log = farebox.log();
    let slow: Vec<&str> = log.lines().filter(|line| line.contains("slow statement")).collect();
    let about =
        slow.iter().find(|line| line.contains("from person")).unwrap_or_else(|| panic!("it is not logged: {log}"));
    let line: serde_json::Value = serde_json::from_str(about).expect("one line of JSON");
    let fields = &line["fields"];
    assert!(fields["db.statement"].as_str().is_some_and(|text| text.contains("$1")), "{line}");
    assert!(fields["elapsed_secs"].as_f64().is_some_and(|took| took > 0.3), "{line}");
    assert!(fields["rows_returned"].is_u64() && line["level"] == "WARN", "{line}");
    assert!(!log.contains("slow-4711") && !log.contains("0815"), "{log}");
    assert!(counted(&farebox).await >= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_none_logs_nothing() {
    let none = vec![("FAREBOX_SLOW_QUERY_MS", "0".to_owned())];
    let farebox = Farebox::with(Options { env: none, ..Options::default() }).await;
    ask_slowly(&farebox, Duration::from_millis(1_300)).await;
    assert!(!farebox.log().contains("slow statement"), "{}", farebox.log());
    assert!(counted(&farebox).await < 0.5);
}
