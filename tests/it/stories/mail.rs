//! Mails that a mail server does not take.

use std::time::Duration;

use crate::support::fake_smtp::{FakeSmtp, Mood};
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options};

const EMAIL: &str = "ada@example.com";
const SIGN_UP: [(&str, &str); 3] = [("name", "Ada"), ("email", EMAIL), ("password", "correct horse battery")];

async fn start(smtp: &FakeSmtp) -> Farebox {
    let env = vec![("FAREBOX_SMTP_URL", smtp.url.clone())];
    Farebox::with(Options { env, ..Options::default() }).await
}

async fn sign_up(farebox: &Farebox) -> Visitor<'_> {
    let mut visitor = Visitor::new(farebox);
    let page = visitor.submit("/sign-up", "/sign-up", &SIGN_UP).await;
    assert_eq!(page.status, 200, "{}", page.body);
    visitor
}

/// The tries before the last one pass at once instead of in hours.
async fn gives_up(farebox: &Farebox) {
    for _ in 0..200 {
        sqlx::query(
            "update graphile_worker._private_jobs set attempts = max_attempts - 1, run_at = now()
             where key like 'mail:%' and locked_at is null and attempts between 1 and max_attempts - 1",
        )
        .execute(&farebox.pool)
        .await
        .expect("done");
        if !farebox.text("select dead_at::text from mail").await.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the mail does not die\n{}", farebox.log());
}

async fn cli(farebox: &Farebox, arguments: &[&str]) -> (bool, String) {
    let output = farebox.cli(arguments).await;
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

async fn metric(farebox: &Farebox) -> String {
    let answer = farebox.http.get(farebox.url("/metrics")).send().await.expect("an answer");
    let text = answer.text().await.expect("a text");
    text.lines().find_map(|line| line.strip_prefix("farebox_mail_dead_letters ")).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_nobody_takes_is_kept_shown_and_can_be_sent_anew() {
    let smtp = FakeSmtp::start(Mood::Refuses).await;
    let farebox = start(&smtp).await;
    let mut visitor = sign_up(&farebox).await;
    assert_eq!(metric(&farebox).await, "0");
    gives_up(&farebox).await;
    while farebox.text("select attempts::text from mail").await == "1" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    assert_eq!(metric(&farebox).await, "1");
    let (ok, listed) = cli(&farebox, &["mail", "dead"]).await;
    assert!(ok && listed.contains("  verify") && listed.contains("no such mailbox"), "{listed}");
    assert!(listed.contains("a…@example.com") && !listed.contains(EMAIL), "{listed}");
    let page = visitor.get("/dev/mailbox").await.body;
    assert!(page.contains("Given up") && page.contains("no such mailbox"), "{page}");
    assert!(!farebox.log().contains(EMAIL), "{}", farebox.log());

    // Put back while the server still refuses, it has all its tries again.
    let id = listed.split_whitespace().next().unwrap_or_default().to_owned();
    let (ok, said) = cli(&farebox, &["mail", "retry", &id]).await;
    assert!(ok, "{said}");
    assert_eq!(metric(&farebox).await, "0");
    gives_up(&farebox).await;
    // It is dead from the beginning of its last try, which must not find the server in a better mood.
    while farebox.text("select attempts::text from mail").await == "3" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    smtp.becomes(Mood::Takes);
    let (ok, said) = cli(&farebox, &["mail", "retry", "all"]).await;
    assert!(ok && said.contains("1 mails"), "{said}");
    for _ in 0..200 {
        if !smtp.taken().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let taken = smtp.taken();
    assert!(taken.len() == 1 && taken[0].contains(EMAIL), "{taken:?}");
    let (ok, said) = cli(&farebox, &["mail", "retry", &id]).await;
    assert!(!ok && said.contains("no dead letter"), "{said}");
    let (ok, said) = cli(&farebox, &["mail", "retry", "some"]).await;
    assert!(!ok && said.contains("`all`"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_whose_last_try_dies_with_its_process_is_a_dead_letter() {
    let smtp = FakeSmtp::start(Mood::Refuses).await;
    let mut farebox = start(&smtp).await;
    sign_up(&farebox).await;
    for _ in 0..200 {
        if farebox.text("select attempts::text from mail").await != "0" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    smtp.becomes(Mood::Hangs);
    gives_up(&farebox).await;
    farebox.kill();
    let (ok, listed) = cli(&farebox, &["mail", "dead"]).await;
    assert!(ok && listed.contains("a…@example.com"), "{listed}");
}
