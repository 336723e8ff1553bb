//! Four eyes cannot be got round: neither with codes, nor with an account of one's own.

use super::{PASSWORD, adjust, fill, operator, send, staff};
use crate::support::visitor::{Page, Visitor, between, form};
use crate::support::{Farebox, Options};

const CODES: &str = "/admin/codes";

async fn posted(farebox: &Farebox) -> String {
    farebox.text("select trim_scale(coalesce(sum(posted), 0))::text from credit").await
}

async fn operators(farebox: &Farebox) -> String {
    farebox.text("select count(*)::text from operator where role = 'operator'").await
}

async fn twin(farebox: &Farebox) -> Farebox {
    Farebox::with(Options { database_url: Some(farebox.database_url.clone()), ..Options::default() }).await
}

fn batch<'a>(amount: &'a str, count: &'a str) -> [(&'static str, &'a str); 5] {
    [("amount", amount), ("count", count), ("uses", "1"), ("per_org", "9"), ("reason", "the spring fair")]
}

/// The address of what waits, as the page after asking or the place it leads to says.
fn waiting(page: &Page) -> String {
    let told = between(&page.body, "href=\"/admin/confirmations/", "\"");
    if told.is_empty() { page.location.clone() } else { format!("/admin/confirmations/{told}") }
}

async fn let_in(visitor: &mut Visitor<'_>, email: &str, role: &str) -> Page {
    let fields = [("email", email), ("role", role), ("reason", "they help us")];
    fill(visitor, "/admin/staff", "/admin/staff", &fields).await
}

async fn decide(visitor: &mut Visitor<'_>, at: &str, how: &str) -> Page {
    // Also where the page does not offer it.
    let page = visitor.get(at).await;
    let known = form(&page.body, &format!("{at}/reject"));
    let known = if known.is_empty() { form(&page.body, &format!("{at}/withdraw")) } else { known };
    assert!(!known.is_empty(), "{at}: {}", page.body);
    send(visitor, &format!("{at}/{how}"), &known, &[("reason", "looked at it")]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_above_the_amount_work_once_a_second_operator_agrees() {
    let farebox = Farebox::start().await;
    let other = twin(&farebox).await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let mut oscar = operator(&farebox, "oscar@example.com").await;
    let otto = operator(&farebox, "otto@example.com").await;
    let mut otto = Visitor::with_cookies(&other, otto.cookies());
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;

    let known = form(&olive.get(CODES).await.body, CODES);
    let made = send(&mut olive, CODES, &known, &batch("5", "30")).await;
    assert!(made.status == 200 && made.body.contains("They do not work yet"), "{}", made.body);
    assert_eq!(made.body.matches("FARE-").count(), 30);
    assert_eq!(send(&mut olive, CODES, &known, &batch("5", "30")).await.status, 303, "the same form asks once");
    assert_eq!(farebox.text("select count(*)::text from confirmation").await, "1");
    let here = waiting(&made);
    let code = between(&made.body, "<code>", "\n");
    let tried = fill(&mut ada, "/credits/redeem", "/credits/redeem", &[("code", &code)]).await;
    assert!(tried.status == 422 && posted(&farebox).await == "0", "{}", tried.body);
    assert_eq!(farebox.text("select count(*)::text from redemption_code").await, "0");

    // Not whoever asked, whatever they send; an auditor sees it and can do nothing.
    assert!(!olive.get(&here).await.body.contains("/confirm\""));
    decide(&mut olive, &here, "confirm").await;
    let mut abel = staff(&farebox, "abel@example.com", "auditor").await;
    let seen = abel.get(&here).await;
    assert!(seen.status == 200 && seen.body.contains("$150.00") && !seen.body.contains("/confirm\""), "{}", seen.body);
    assert_eq!(farebox.text("select state from confirmation").await, "pending");
    let forced = "update confirmation set state = 'confirmed', decided_by = made_by, decided_at = now()";
    assert!(sqlx::query(forced).execute(&farebox.pool).await.is_err(), "the database refuses it too");

    // Two others at once, on two nodes: one of them makes the codes work, once.
    let action = format!("{here}/confirm");
    let first = form(&oscar.get(&here).await.body, &action);
    let second = form(&otto.get(&here).await.body, &action);
    let (one, two) = tokio::join!(
        send(&mut oscar, &action, &first, &[("reason", "I agree")]),
        send(&mut otto, &action, &second, &[("reason", "so do I")]),
    );
    assert_eq!((one.status, two.status), (303, 303), "{}{}", one.body, two.body);
    send(&mut oscar, &action, &first, &[("reason", "I agree")]).await;
    let kept =
        "select count(*) || ' ' || count(confirmed_by) || ' ' || bool_and(confirmed_by <> made_by) from code_batch";
    assert_eq!(farebox.text(kept).await, "1 1 true");
    assert_eq!(farebox.text("select count(*)::text from redemption_code").await, "30");
    let redeemed = fill(&mut ada, "/credits/redeem", "/credits/redeem", &[("code", &code)]).await;
    assert!(redeemed.status == 303 && posted(&farebox).await == "5", "{}", redeemed.body);

    // One that is rejected never works, and one that waited too long neither.
    let made = fill(&mut olive, CODES, CODES, &batch("500", "1")).await;
    let rejected = waiting(&made);
    decide(&mut oscar, &rejected, "reject").await;
    let late = waiting(&fill(&mut olive, CODES, CODES, &batch("600", "1")).await);
    let known = form(&oscar.get(&late).await.body, &format!("{late}/confirm"));
    sqlx::query("update confirmation set expires_at = now() - interval '1 second' where state = 'pending'")
        .execute(&farebox.pool)
        .await
        .expect("expired");
    send(&mut oscar, &format!("{late}/confirm"), &known, &[("reason", "late")]).await;
    assert!(oscar.get(&late).await.body.contains("Expired"));
    assert_eq!(farebox.text("select count(*)::text from code_batch").await, "1");
    // Who redeems the last one of it is no matter; the books are clean, and all of it stands in the log.
    farebox.books_are_clean().await;
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
    let log = olive.get("/admin/log").await.body;
    assert!(
        log.contains("Asked a second operator to confirm something") && log.contains("Made redemption codes"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_and_grants_at_once_count_together() {
    let farebox = Farebox::start().await;
    let other = twin(&farebox).await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let new = format!("/admin/adjustments/new?org={}", key.org);
    let grant = [("kind", "grant"), ("amount", "40"), ("reason", "in small parts")];
    let mut forms = Vec::new();
    for _ in 0..2 {
        forms.push((CODES, form(&olive.get(CODES).await.body, CODES), batch("4", "10").to_vec()));
        let known = form(&olive.get(&new).await.body, "/admin/adjustments");
        forms.push(("/admin/adjustments", known, grant.to_vec()));
    }
    let mut twins: Vec<_> = (0..forms.len())
        .map(|at| Visitor::with_cookies(if at < 2 { &farebox } else { &other }, olive.cookies()))
        .collect();
    let sent = twins.iter_mut().zip(&forms).map(|(twin, (action, known, fields))| send(twin, action, known, fields));
    for page in futures_util::future::join_all(sent).await {
        assert!(matches!(page.status, 200 | 303), "{}", page.body);
    }
    // Two of forty dollars are alone below a hundred, whichever they are; the others wait.
    let alone = "select trim_scale((select coalesce(sum(amount), 0) from adjustment where not needs_two)
        + (select coalesce(sum(amount * codes), 0) from code_batch where confirmed_by is null))::text";
    assert_eq!(farebox.text(alone).await, "80");
    let waits = "select ((select count(*) from adjustment where state = 'pending') + (select count(*) from confirmation))::text";
    assert_eq!(farebox.text(waits).await, "2");
    // Revoking them gives nothing back to give away.
    sqlx::query("update code_batch set revoked_at = now()").execute(&farebox.pool).await.expect("revoked");
    adjust(&mut olive, &key.org, "grant", "30").await;
    assert_eq!(farebox.text(alone).await, "80");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_ones_own_is_no_second_operator() {
    let farebox = Farebox::start().await;
    let other = twin(&farebox).await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let mut mine = Visitor::member(&farebox, "mine@example.com", PASSWORD).await;
    Visitor::member(&farebox, "third@example.com", PASSWORD).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    // With one operator everything can be done, and the pages say what holds.
    assert!(olive.get("/admin/staff").await.body.contains("You are the only operator"));
    let page = olive.get(&format!("/admin/adjustments/new?org={}", key.org)).await.body;
    assert!(page.contains("farebox credits grant"), "{page}");
    // Two of her forms at once, on two nodes: only the first makes one alone.
    let known = form(&olive.get("/admin/staff").await.body, "/admin/staff");
    let again = form(&olive.get("/admin/staff").await.body, "/admin/staff");
    let mut there = Visitor::with_cookies(&other, olive.cookies());
    let fields = |email| [("email", email), ("role", "operator"), ("reason", "they help us")];
    let (one, two) = (fields("mine@example.com"), fields("third@example.com"));
    let (one, two) =
        tokio::join!(send(&mut olive, "/admin/staff", &known, &one), send(&mut there, "/admin/staff", &again, &two),);
    assert_eq!((one.status, two.status), (303, 303), "{}{}", one.body, two.body);
    assert_eq!(operators(&farebox).await, "2");
    assert_eq!(farebox.text("select count(*)::text from confirmation where state = 'pending'").await, "1");
    sqlx::query("update operator set person_id = (select id from person where email = 'mine@example.com') where made_by is not null")
        .execute(&farebox.pool)
        .await
        .expect("whichever was first");

    // Neither confirms what the other wants, also not long after.
    sqlx::query("update operator set confirms_from = now() - interval '1 year'")
        .execute(&farebox.pool)
        .await
        .expect("old");
    let asked = adjust(&mut olive, &key.org, "grant", "500").await.location;
    decide(&mut mine, &asked, "approve").await;
    let told = mine.get(&asked).await.body;
    assert!(told.contains("the two of you count as one") && !told.contains("/approve\""), "{told}");
    let back = adjust(&mut mine, &key.org, "grant", "500").await.location;
    decide(&mut olive, &back, "approve").await;
    let codes = waiting(&fill(&mut olive, CODES, CODES, &batch("500", "1")).await);
    decide(&mut mine, &codes, "confirm").await;
    let person = let_in(&mut olive, "third@example.com", "operator").await;
    decide(&mut mine, &waiting(&person), "confirm").await;
    assert_eq!((posted(&farebox).await.as_str(), operators(&farebox).await.as_str()), ("10", "2"));
    assert_eq!(farebox.text("select count(*)::text from code_batch").await, "0");

    // Taking the role away and giving it again changes nothing.
    let them =
        farebox.text("select 'usr_' || replace(id::text, '-', '') from person where email = 'mine@example.com'").await;
    fill(&mut olive, "/admin/staff", "/admin/staff/remove", &[("person", &them), ("reason", "once more")]).await;
    decide(&mut olive, &back, "approve").await;
    assert_eq!(posted(&farebox).await, "10", "what a removed operator asked for is confirmed by nobody");
    let_in(&mut olive, "mine@example.com", "operator").await;
    sqlx::query("update operator set confirms_from = now() - interval '1 year'")
        .execute(&farebox.pool)
        .await
        .expect("old");
    decide(&mut mine, &asked, "approve").await;
    assert_eq!(posted(&farebox).await, "10");

    // The server's word is above that, and stands in the log.
    assert!(farebox.cli(&["user", "operator", "--email", "mine@example.com"]).await.status.success());
    decide(&mut mine, &asked, "approve").await;
    assert_eq!(posted(&farebox).await, "510");
    let granted = farebox.cli(&["credits", "grant", "--email", "ada@example.com", "--amount", "1000"]).await;
    assert!(granted.status.success());
    assert_eq!(posted(&farebox).await, "1510");
    let logged = "select count(*)::text from audit_entry where action = 'credits.granted' and after like '%\"1000\"%'";
    assert_eq!(farebox.text(logged).await, "2", "in the log of the organization and of the house");
    farebox.books_are_clean().await;
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_operator_takes_two_and_confirms_nothing_for_a_week() {
    let farebox = Farebox::start().await;
    let other = twin(&farebox).await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let mut oscar = operator(&farebox, "oscar@example.com").await;
    let otto = operator(&farebox, "otto@example.com").await;
    let mut otto = Visitor::with_cookies(&other, otto.cookies());
    let mut abel = Visitor::member(&farebox, "abel@example.com", PASSWORD).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    // An auditor changes nothing, so one operator lets one in. Making an operator of them takes two.
    assert_eq!(let_in(&mut olive, "abel@example.com", "auditor").await.location, "/admin/staff");
    let asked = let_in(&mut olive, "abel@example.com", "operator").await;
    let here = waiting(&asked);
    assert!(here.starts_with("/admin/confirmations/"), "{here}");
    decide(&mut olive, &here, "confirm").await;
    assert_eq!(abel.get("/admin/staff").await.status, 403, "an auditor still");
    let action = format!("{here}/confirm");
    let first = form(&oscar.get(&here).await.body, &action);
    let second = form(&otto.get(&here).await.body, &action);
    let (one, two) = tokio::join!(
        send(&mut oscar, &action, &first, &[("reason", "I know him")]),
        send(&mut otto, &action, &second, &[("reason", "so do I")]),
    );
    assert_eq!((one.status, two.status), (303, 303), "{}{}", one.body, two.body);
    assert_eq!(operators(&farebox).await, "4");
    let given = "select count(*)::text from audit_entry where action = 'house.confirmation_given'";
    assert_eq!(farebox.text(given).await, "1");
    assert_eq!(abel.get("/admin/staff").await.status, 200);

    let grant = adjust(&mut oscar, &key.org, "grant", "500").await.location;
    decide(&mut abel, &grant, "approve").await;
    assert!(abel.get(&grant).await.body.contains("only since a few days"));
    assert_eq!(posted(&farebox).await, "10");
    sqlx::query("update operator set confirms_from = confirms_from - interval '7 days' where confirms_from > now()")
        .execute(&farebox.pool)
        .await
        .expect("a week later");
    decide(&mut abel, &grant, "approve").await;
    assert_eq!(posted(&farebox).await, "510");
    farebox.books_are_clean().await;
}
