//! A form that came five minutes too late is not lost.

use crate::support::visitor::{Visitor, form};
use crate::support::{Farebox, team};

const PASSWORD: &str = "correct horse battery";
const KEPT: &str = "select count(*)::text from kept_form";

async fn run(farebox: &Farebox, statement: &'static str) {
    sqlx::query(statement).execute(&farebox.pool).await.expect("done");
}

async fn five_minutes_pass(farebox: &Farebox) {
    run(farebox, "update session set authenticated_at = now() - interval '6 minutes'").await;
}

async fn step_up(visitor: &mut Visitor<'_>, next: &str) -> String {
    let fields = [("password", PASSWORD), ("next", next)];
    visitor.submit("/step-up", "/step-up", &fields).await.location
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_typed_waits_for_the_step_up_and_is_sent_by_hand() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let mut grace = Visitor::member(&farebox, "grace@example.com", PASSWORD).await;
    team::create(&mut ada, "Analytical Engines").await;
    team::bring_in(&farebox, &mut ada, &mut grace, "grace@example.com", "member").await;
    let member = format!("/settings/members/{}", team::person(&farebox, "grace@example.com").await);
    let cap = format!("{member}/cap");
    let limit = "select limit_month::text from meter where kind = 'member' and limit_month is not null
                 union all select 'none' limit 1";
    let token = ada.token(&member).await;
    five_minutes_pass(&farebox).await;

    let asked = ada.post(&token, &cap, &[("month", "12.50"), ("week", ""), ("total", "")]).await;
    assert_eq!((asked.status, asked.location.as_str()), (303, "/step-up?next=%2Fstep-up%2Fcontinue"), "{}", asked.body);
    assert_eq!(farebox.text(limit).await, "none", "nothing is done before");
    let stored = farebox.text("select action || encode(ciphertext, 'escape') from kept_form").await;
    assert!(stored.starts_with(&cap) && !stored.contains("12.50"), "it is sealed");
    assert_eq!(ada.get("/step-up/continue").await.location, "/step-up?next=%2Fstep-up%2Fcontinue", "not before");

    assert_eq!(step_up(&mut ada, "/step-up/continue").await, "/step-up/continue");
    let page = ada.get("/step-up/continue").await;
    assert!(page.status == 200 && page.body.contains("$12.50") && page.body.contains("Each month"), "{}", page.body);
    assert!(page.body.contains(">Save cap</button>"), "{}", page.body);
    assert_eq!(farebox.text(limit).await, "none", "looking does nothing");
    let fields = form(&page.body, &cap);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (token, fields) = fields.split_first().expect("a token");
    let done = ada.post(token.1, &cap, fields).await;
    assert_eq!(done.status, 303, "{}", done.body);
    assert!(farebox.text(limit).await.starts_with("12.5"), "{}", farebox.text(limit).await);

    // It is hers, in this browser, for a quarter of an hour.
    let mut elsewhere = Visitor::new(&farebox);
    elsewhere.submit("/sign-in", "/sign-in", &[("email", "ada@example.com"), ("password", PASSWORD)]).await;
    assert_eq!(elsewhere.get("/step-up/continue").await.location, "/");
    assert_eq!(grace.get("/step-up/continue").await.status, 303);
    run(&farebox, "update kept_form set expires_at = now() - interval '1 second'").await;
    assert_eq!(ada.get("/step-up/continue").await.location, "/");
    assert!(ada.get("/").await.body.contains("kept for fifteen minutes only"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_another_site_or_with_a_password_is_not_kept() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let token = ada.token("/settings/profile").await;
    five_minutes_pass(&farebox).await;
    let forged = ada.post("not her token", "/settings/email", &[("email", "eve@example.com")]).await;
    assert_eq!(forged.status, 403, "{}", forged.location);
    assert_eq!(farebox.text(KEPT).await, "0");
    for (path, fields) in [
        ("/settings/sign-in/password", vec![("password", "another horse battery")]),
        ("/settings/security/two-factor", vec![]),
        ("/settings/security/two-factor/confirm", vec![("code", "123456")]),
    ] {
        let asked = ada.post(&token, path, &fields).await;
        assert!(asked.status == 303 && !asked.location.contains("continue"), "{path}: {}", asked.location);
        let told = ada.get(&asked.location).await.body;
        assert!(told.contains("What you sent was not done and not kept."), "{path}: {told}");
        assert_eq!(farebox.text(KEPT).await, "0", "{path}");
    }
    // A newer one takes the place of the one before, and signing out takes it away.
    for email in ["one@example.com", "two@example.com"] {
        let asked = ada.post(&token, "/settings/email", &[("email", email)]).await;
        assert!(asked.location.contains("continue"), "{}", asked.location);
    }
    assert_eq!(farebox.text(KEPT).await, "1");
    ada.post(&token, "/sign-out", &[]).await;
    assert_eq!(farebox.text(KEPT).await, "0");
}
