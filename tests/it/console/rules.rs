//! What purchases cost and who may sign up, changed while everything runs.

use std::time::{Duration, Instant};

use super::{PASSWORD, fill, operator, send, staff};
use crate::support::farebox::unused_id;
use crate::support::visitor::{Visitor, form};
use crate::support::{Farebox, Options, cluster};

/// Two nodes of one instance.
async fn two() -> (Farebox, Farebox) {
    let url = cluster::database().await;
    let node = || Farebox::with(Options { database_url: Some(url.clone()), ..Options::default() });
    (node().await, node().await)
}

/// Asks again until a page says something, and tells how long that took.
async fn within_a_second(visitor: &mut Visitor<'_>, path: &str, says: &str) {
    let began = Instant::now();
    loop {
        let page = visitor.get(path).await.body;
        if page.contains(says) {
            return;
        }
        assert!(began.elapsed() < crate::support::size::heard_within(), "{path} does not say {says:?}: {page}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Begins a purchase with the form of a page, and returns its number, or what was said instead.
async fn begin(visitor: &mut Visitor<'_>, page: &str, id: Option<&str>) -> Result<String, String> {
    let fields = form(page, "/credits/topups");
    let value = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).expect("a field").1.as_str();
    let id = id.unwrap_or_else(|| value("id")).to_owned();
    let order = [("id", id.as_str()), ("amount", "20"), ("method", "sandbox_card"), ("fees", value("fees"))];
    let answer = visitor.post(value("csrf_token"), "/credits/topups", &order).await;
    if answer.status == 422 { Err(answer.body) } else { Ok(id) }
}

async fn total(farebox: &Farebox, id: &str) -> String {
    let id: farebox::base::ids::TopUpId = id.parse().expect("an id");
    sqlx::query_scalar::<_, String>("select trim_scale(total)::text from topup where id = $1")
        .bind(id.0)
        .fetch_one(&farebox.pool)
        .await
        .expect("the purchase")
}

async fn pay(visitor: &mut Visitor<'_>, farebox: &Farebox, id: &str) {
    let page = format!("/sandbox/checkout/{id}");
    let paid = visitor.submit(&page, &page, &[("outcome", "paid")]).await;
    assert_eq!(paid.status, 303, "{}", paid.body);
    crate::support::shop::applied_within(farebox, 15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fees_hold_from_their_change_on_and_a_purchase_keeps_what_it_was_begun_with() {
    let (one, other) = two().await;
    let mut olive = operator(&one, "olive@example.com").await;
    let mut ada = Visitor::member(&other, "ada@example.com", PASSWORD).await;
    let before = ada.get("/credits?amount=20&method=sandbox_card").await.body;
    assert!(before.contains("$21.10"), "{before}");
    let first = begin(&mut ada, &before, None).await.expect("a purchase");

    // What makes no sense changes nothing.
    for bad in [("sandbox_card", "a lot"), ("sandbox_card", ""), ("min", "0"), ("max", "1"), ("reason", "")] {
        let fields = [("reason", "a test"), bad];
        let fields = if bad.0 == "reason" { &fields[1..] } else { &fields[..] };
        let said = fill(&mut olive, "/admin/fees", "/admin/fees", fields).await;
        assert!(said.status == 422 || said.status == 400, "{bad:?}: {} {}", said.status, said.body);
    }
    assert_eq!(one.text("select count(*)::text from house_setting").await, "0");

    let stale = form(&olive.get("/admin/fees").await.body, "/admin/fees");
    let change = [("sandbox_card", "3% min 0.50"), ("max", "500"), ("reason", "cheaper from today on")];
    let changed = send(&mut olive, "/admin/fees", &stale, &change).await;
    assert_eq!(changed.status, 303, "{}", changed.body);
    // The same form again, and another one that was opened before.
    assert_eq!(send(&mut olive, "/admin/fees", &stale, &change).await.status, 303);
    let mut late = stale.clone();
    late.iter_mut().filter(|(name, _)| name == "form").for_each(|(_, value)| *value = unused_id("act_"));
    let said = send(&mut olive, "/admin/fees", &late, &[("sandbox_card", "9%"), ("reason", "too late")]).await;
    assert!(said.status != 303 && said.body.contains("meanwhile"), "{} {}", said.status, said.body);
    assert_eq!(one.text("select count(*)::text from house_setting").await, "1");

    // Payers see it at once, on every node.
    within_a_second(&mut ada, "/credits?amount=20&method=sandbox_card", "$20.60").await;
    let old = begin(&mut ada, &before, Some(&unused_id("top_"))).await.expect_err("the old total was shown");
    assert!(old.contains("The fees have changed") && old.contains("$20.60"), "{old}");
    let page = ada.get("/credits?amount=20&method=sandbox_card").await.body;
    let second = begin(&mut ada, &page, None).await.expect("a purchase");
    // The first one keeps its fee, also where its form comes again.
    assert_eq!(begin(&mut ada, &before, Some(&first)).await.as_deref(), Ok(first.as_str()));
    assert_eq!((total(&one, &first).await, total(&one, &second).await), ("21.1".into(), "20.6".into()));
    pay(&mut ada, &other, &first).await;
    pay(&mut ada, &other, &second).await;
    let fees =
        "select string_agg(trim_scale(amount)::text, ' ' order by amount) from transfer where code = 'topup_fee'";
    assert_eq!(one.text(fees).await, "0.6 1.1");

    // It outlives a restart, stands in the log with its reason, and nobody changes it afterwards.
    let later = Farebox::with(Options { database_url: Some(one.database_url.clone()), ..Options::default() }).await;
    let mut again = Visitor::with_cookies(&later, ada.cookies());
    assert!(again.get("/credits?amount=20&method=sandbox_card").await.body.contains("$20.60"));
    let log = olive.get("/admin/log").await.body;
    assert!(log.contains("Changed the fees on purchases"), "{log}");
    for statement in ["update house_setting set reason = 'x'", "delete from house_setting"] {
        assert!(sqlx::query(statement).execute(&one.pool).await.is_err(), "{statement}");
    }
    let mut abel = staff(&one, "abel@example.com", "auditor").await;
    let seen = abel.get("/admin/fees").await.body;
    assert!(seen.contains("cheaper from today on") && form(&seen, "/admin/fees").is_empty(), "{seen}");

    // A way to pay that is switched off is offered to nobody; then the environment's fees again.
    let off = [("sandbox_card", "off"), ("reason", "a pause")];
    assert_eq!(fill(&mut olive, "/admin/fees", "/admin/fees", &off).await.status, 303);
    let began = Instant::now();
    while ada.get("/credits").await.body.contains("value=\"sandbox_card\"") {
        assert!(began.elapsed() < crate::support::size::heard_within(), "it is still offered");
    }
    let back = [("source", "environment"), ("sandbox_card", "1%"), ("reason", "as before")];
    assert_eq!(fill(&mut olive, "/admin/fees", "/admin/fees", &back).await.status, 303);
    within_a_second(&mut ada, "/credits?amount=20&method=sandbox_card", "$21.10").await;
    assert_eq!(one.text("select max(version)::text from house_setting").await, "3");
    one.books_are_clean().await;
}

/// Whether a mail went out to somebody who asked for an account.
async fn let_in(node: &Farebox, email: &str) -> bool {
    let mut visitor = Visitor::new(node);
    let fields = [("name", "Ada"), ("email", email), ("password", PASSWORD)];
    let page = visitor.submit("/sign-up", "/sign-up", &fields).await;
    assert!(page.status == 200 || page.status == 403, "{} {}", page.status, page.body);
    let mails: i64 = sqlx::query_scalar("select count(*) from mail where recipient = $1")
        .bind(email)
        .fetch_one(&node.pool)
        .await
        .expect("a count");
    mails > 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_sign_up_is_changed_on_every_node_within_a_second() {
    let (one, other) = two().await;
    let mut olive = operator(&one, "olive@example.com").await;
    assert!(let_in(&other, "a@elsewhere.example").await);
    let some = [("policy", "domains"), ("domains", "example.org, @house.example"), ("reason", "ours only")];
    assert_eq!(fill(&mut olive, "/admin/fees", "/admin/sign-up", &some).await.status, 303);
    let page = olive.get("/admin/fees").await.body;
    assert!(
        page.contains("Addresses of example.org, house.example") && page.contains("over the environment"),
        "{page}"
    );
    let mut stranger = Visitor::new(&other);
    within_a_second(&mut stranger, "/sign-up", "@house.example").await;
    for node in [&one, &other] {
        assert!(!let_in(node, "b@elsewhere.example").await);
    }
    assert!(let_in(&other, "c@house.example").await && let_in(&one, "d@example.org").await);

    let nobody = [("policy", "closed"), ("domains", ""), ("reason", "a pause")];
    assert_eq!(fill(&mut olive, "/admin/fees", "/admin/sign-up", &nobody).await.status, 303);
    within_a_second(&mut stranger, "/sign-up", "Sign-up is closed here").await;
    for bad in [("domains", ""), ("domains", "no domain"), ("some", "")] {
        let fields = [("policy", bad.0), ("domains", bad.1), ("reason", "a test")];
        let said = fill(&mut olive, "/admin/fees", "/admin/sign-up", &fields).await;
        assert!(said.status == 422 || said.status == 400, "{bad:?}: {}", said.status);
    }
    let open = [("policy", "environment"), ("domains", ""), ("reason", "as before")];
    assert_eq!(fill(&mut olive, "/admin/fees", "/admin/sign-up", &open).await.status, 303);
    let began = Instant::now();
    while stranger.get("/sign-up").await.body.contains("Sign-up is closed here") {
        assert!(began.elapsed() < crate::support::size::heard_within(), "it is still closed");
    }
    assert!(let_in(&other, "e@elsewhere.example").await);
    let page = olive.get("/admin/fees").await.body;
    assert!(page.contains("As the environment says") && page.contains("ours only"), "{page}");
    assert!(olive.get("/admin/log").await.body.contains("Changed who may sign up"));
}

/// What a later version wrote and this one does not understand is said, and does not pass for what holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_cannot_be_read_is_shown_and_does_not_hold() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let change = [("sandbox_card", "3% min 0.50"), ("reason", "cheaper")];
    assert_eq!(fill(&mut olive, "/admin/fees", "/admin/fees", &change).await.status, 303);
    let page = olive.get("/admin/fees").await.body;
    assert!(!page.contains("cannot be read"), "{page}");
    for (name, value) in [("fees", "{\"of\": \"tomorrow\"}"), ("sign_up", "{\"policy\": \"by lot\"}")] {
        sqlx::query(
            "insert into house_setting (name, version, value, reason, made_by)
             select $1, coalesce((select max(version) from house_setting where name = $1), 0) + 1, $2::jsonb, 'later', id
             from person where email = 'olive@example.com'",
        )
        .bind(name)
        .bind(value)
        .execute(&farebox.pool)
        .await
        .expect("a version");
    }
    let page = olive.get("/admin/fees").await.body;
    assert!(page.contains("Version 2 of the fees cannot be read by this program"), "{page}");
    assert!(page.contains("Version 1 of the sign-up policy cannot be read by this program"), "{page}");
    assert!(page.contains("These are version 1, set here."), "what was read last holds: {page}");
    // After a restart the environment's hold, and the page says so, too.
    let later = Farebox::with(Options { database_url: Some(farebox.database_url.clone()), ..Options::default() }).await;
    let page = Visitor::with_cookies(&later, olive.cookies()).get("/admin/fees").await.body;
    assert!(
        page.contains("Version 2 of the fees cannot be read") && page.contains("These are the environment"),
        "{page}"
    );
    // Whoever sets them again is rid of it.
    let change = [("sandbox_card", "4%"), ("reason", "again")];
    assert_eq!(fill(&mut olive, "/admin/fees", "/admin/fees", &change).await.status, 303);
    let page = olive.get("/admin/fees").await.body;
    assert!(!page.contains("of the fees cannot be read by this program, so"), "{page}");
    assert!(page.contains("These are version 3, set here."), "{page}");
}
