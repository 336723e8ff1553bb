//! Several tabs of one browser: what one of them does is not done to what another has opened.

use serde_json::json;

use crate::support::visitor::{Page, Visitor, form};
use crate::support::{Farebox, team};

const ADA: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";
const KEYS: &str = "select count(*)::text from api_key";

async fn run(farebox: &Farebox, statement: &'static str) {
    sqlx::query(statement).execute(&farebox.pool).await.expect("done");
}

/// The id of the only organization that is nobody's team but Ada's own.
async fn own(farebox: &Farebox) -> String {
    let statement =
        "select m.org_id from membership m join org o on o.id = m.org_id join person p on p.id = m.person_id
                     where o.kind <> 'team' and p.email = $1";
    let id: uuid::Uuid = sqlx::query_scalar(statement).bind(ADA).fetch_one(&farebox.pool).await.expect("one");
    farebox::base::ids::OrgId(id).to_string()
}

async fn make_key(visitor: &mut Visitor<'_>, token: &str) -> Page {
    let id = farebox::base::ids::KeyId::fresh().to_string();
    visitor.post(token, "/keys", &[("id", &id), ("name", "of that tab")]).await
}

fn is_of_another(page: &Page) -> bool {
    page.status == 403 && page.body.contains("Another organization was opened in this browser meanwhile")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_acts_on_the_organization_that_its_page_showed_or_on_nothing() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let mut grace = Visitor::member(&farebox, "grace@example.com", PASSWORD).await;
    let token = ada.token("/keys/new").await;
    // Another tab of the same browser.
    let engines = team::create(&mut ada, "Analytical Engines").await;
    let refused = make_key(&mut ada, &token).await;
    assert!(is_of_another(&refused), "{} {}", refused.status, refused.body);
    let left = ada.post(&token, "/settings/organization/leave", &[("leave", "yes")]).await;
    assert!(is_of_another(&left), "{} {}", left.status, left.body);
    let message = json!({ "model": "sandbox/echo", "messages": [{ "role": "user", "content": "to whom?" }] });
    let request = farebox.http.post(farebox.url("/chat/completions")).header("x-csrf-token", &token);
    let said = ada.send(request.json(&message)).await;
    assert!(said.status == 403 && said.body.contains("Another organization was opened"), "{}", said.body);
    assert_eq!(farebox.text(KEYS).await, "0");

    // What is about oneself is done whatever is open, and so is opening; then the form is good again.
    assert_eq!(ada.post(&token, "/settings/picture/remove", &[]).await.status, 303);
    let opened = ada.post(&token, &format!("/organizations/{}/open", own(&farebox).await), &[]).await;
    assert_eq!(opened.status, 303, "{}", opened.body);
    assert_eq!(make_key(&mut ada, &token).await.status, 200);

    // Whoever was removed does not do it to their own organization instead.
    team::open(&mut ada, &engines).await;
    team::bring_in(&farebox, &mut ada, &mut grace, "grace@example.com", "admin").await;
    team::open(&mut grace, &engines).await;
    let token = grace.token("/keys/new").await;
    run(&farebox, "delete from membership where role = 'admin'").await;
    let refused = make_key(&mut grace, &token).await;
    assert!(is_of_another(&refused), "{} {}", refused.status, refused.body);
    assert_eq!(farebox.text(KEYS).await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_form_stays_one_of_its_organization() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    ada.get("/").await;
    let own = own(&farebox).await;
    let engines = team::create(&mut ada, "Analytical Engines").await;
    let invitations = "select count(*)::text from invitation";
    let token = ada.token("/settings/members").await;
    run(&farebox, "update session set authenticated_at = now() - interval '6 minutes'").await;
    let action = "/settings/members/invitations";
    let fields = [("email", "grace@example.com"), ("role", "member"), ("lasts", "7")];
    let asked = ada.post(&token, action, &fields).await;
    assert!(asked.location.contains("continue"), "{}", asked.location);
    team::open(&mut ada, &own).await;
    let stepped = ada.submit("/step-up", "/step-up", &[("password", PASSWORD), ("next", "/step-up/continue")]).await;
    assert_eq!(stepped.location, "/step-up/continue", "{}", stepped.body);
    let page = ada.get("/step-up/continue").await;
    let kept = form(&page.body, action);
    assert_eq!(kept.iter().filter(|(name, _)| name == "csrf_token").count(), 1, "{kept:?}");
    assert!(!page.body.contains("<dt>Csrf token</dt>"), "{}", page.body);
    let token = kept.iter().find(|(name, _)| name == "csrf_token").map(|(_, value)| value.clone()).expect("a token");
    let refused = ada.post(&token, action, &fields).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(farebox.text(invitations).await, "0");
    team::open(&mut ada, &engines).await;
    let sent = ada.post(&token, action, &fields).await;
    assert_eq!(sent.status, 303, "{}", sent.body);
    assert_eq!(farebox.text(invitations).await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_of_other_tabs_outlive_a_step_up_and_a_new_password_but_no_sign_in() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let token = ada.token("/keys/new").await;
    let session = |visitor: &Visitor<'_>| visitor.cookies().iter().find(|(name, _)| name == "farebox_session").cloned();
    let before = session(&ada);
    let stepped = ada.submit("/step-up", "/step-up", &[("password", PASSWORD)]).await;
    assert_eq!(stepped.status, 303, "{}", stepped.body);
    assert_ne!(session(&ada), before, "its secret is another one");
    assert_eq!(make_key(&mut ada, &token).await.status, 200);
    let changed = ada.post(&token, "/settings/sign-in/password", &[("password", "another horse battery")]).await;
    assert_eq!(changed.status, 303, "{}", changed.body);
    assert_eq!(make_key(&mut ada, &token).await.status, 200);

    assert_eq!(ada.post(&token, "/sign-out", &[]).await.status, 303);
    let fields = [("email", ADA), ("password", "another horse battery")];
    assert_eq!(ada.submit("/sign-in", "/sign-in", &fields).await.status, 303);
    let stale = make_key(&mut ada, &token).await;
    assert!(stale.status == 403 && stale.body.contains("no longer valid"), "{} {}", stale.status, stale.body);
    assert_eq!(farebox.text(KEYS).await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_a_session_that_has_ended_says_so_and_leads_back_to_its_page() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let token = ada.token("/keys/new").await;
    run(&farebox, "delete from session").await;
    let form = [("csrf_token", token.as_str()), ("name", "lost")];
    let request = farebox.http.post(farebox.url("/keys")).header("referer", farebox.url("/keys/new?from=here"));
    let lost = ada.send(request.form(&form)).await;
    assert_eq!(
        (lost.status, lost.location.as_str()),
        (303, "/sign-in?next=%2Fkeys%2Fnew%3Ffrom%3Dhere"),
        "{}",
        lost.body
    );
    let told = ada.get(&lost.location).await.body;
    assert!(told.contains("You were signed out, so what you sent was not done."), "{told}");
    let fields = [("email", ADA), ("password", PASSWORD), ("next", "/keys/new")];
    assert_eq!(ada.submit(&lost.location, "/sign-in", &fields).await.location, "/keys/new");
    assert_eq!(farebox.text(KEYS).await, "0");
    // Who only wanted to leave has left.
    let token = ada.token("/keys/new").await;
    run(&farebox, "delete from session").await;
    let left = ada.post(&token, "/sign-out", &[]).await;
    assert_eq!((left.status, left.location.as_str()), (303, "/sign-in"), "{}", left.body);
    assert!(!ada.get("/sign-in").await.body.contains("You were signed out"));
}
