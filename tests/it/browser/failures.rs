//! What a person sees when the server itself fails. Both failures are real: a table that is not there, and then no
//! database at all.

use farebox::db::embedded::{DATABASE, Embedded, Options as Server};

use super::Browser;
use super::pages::Inspector;
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_fail_on_our_side_fit_and_can_be_used_by_everybody() {
    let started = tokio::task::spawn_blocking(|| Embedded::start(Server::temporary())).await.expect("a thread");
    let server = started.unwrap_or_else(|error| panic!("{error}"));
    let database_url = Some(server.url(DATABASE));
    let farebox = Farebox::with(Options { database_url, ..Options::default() }).await;
    let ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let browser = Browser::start(&farebox.base).await;
    let mut inspector = Inspector::new(&browser);
    browser.open("/sign-in").await;
    browser.take_cookies(ada.cookies()).await;

    for (from, to) in [("mail", "mail_elsewhere"), ("mail_elsewhere", "mail")] {
        let renamed = format!("alter table {from} rename to {to}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(renamed)).execute(&farebox.pool).await.expect("renamed");
        if from == "mail" {
            browser.open("/dev/mailbox").await;
            browser.shows("This page failed on our side").await;
            inspector.look("error-500").await;
            let told = browser.find("#request-id").await.text().await.expect("an id");
            assert!(farebox.log().contains(&told), "the log has the id that the page shows: {told}");
            assert!(!browser.text().await.contains("mail_"), "and the page nothing of the cause");
        }
    }
    browser.open("/dev/mailbox").await;
    browser.shows("Mails this server would have sent").await;

    tokio::task::spawn_blocking(move || server.stop()).await.expect("stopped");
    // The first of these meet connections that have just died.
    let mut visitor = Visitor::with_cookies(&farebox, ada.cookies());
    for _ in 0..20 {
        let page = visitor.get("/keys").await;
        assert_eq!(page.status, 503, "{}\n{}", page.body, farebox.log());
    }
    browser.open("/keys").await;
    browser.shows("cannot reach its database").await;
    inspector.look("error-503").await;
    inspector.verdict();
}
