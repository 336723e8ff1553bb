//! What every answer carries, and what is believed of a request.

use reqwest::Response;

use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";

async fn behind_tls() -> Farebox {
    let env = vec![("FAREBOX_PUBLIC_URL", "https://ai.example".to_owned())];
    Farebox::with(Options { env, ..Options::default() }).await
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_carries_what_keeps_browsers_safe() {
    let farebox = behind_tls().await;
    let pages = ["/sign-in", "/keys", "/no/such/page", "/docs/api"];
    let others =
        ["/healthz", "/readyz", "/metrics", "/static/nothing", "/api/v1/models", "/api/v1/key", "/api/v1/none"];
    for path in pages.iter().chain(&others) {
        let answer = farebox.http.get(farebox.url(path)).send().await.expect("an answer");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
        assert!(header(&answer, "strict-transport-security").starts_with("max-age="), "{path}");
        assert!(header(&answer, "x-request-id").starts_with("req_"), "{path}");
        for told in ["server", "x-powered-by"] {
            assert!(!answer.headers().contains_key(told), "{path} names its server");
        }
        if pages.contains(path) {
            let policy = header(&answer, "content-security-policy");
            assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
            assert!(!policy.contains("unsafe"), "{path}: {policy}");
            assert_eq!(header(&answer, "x-frame-options"), "DENY", "{path}");
            assert_eq!(header(&answer, "cache-control"), "no-store", "{path}");
            assert!(!answer.headers().contains_key("access-control-allow-origin"), "{path} is for its own pages");
        }
    }
    // What a wrong key is told names neither the key, nor where it was looked for.
    let answer = farebox.http.get(farebox.url("/api/v1/key")).bearer_auth("sk-or-v1-wrong").send().await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 401);
    let text = answer.text().await.expect("a text").to_lowercase();
    for word in ["wrong", "sha", "digest", "table", "api_key", "postgres", "farebox"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_bound_to_host_and_tls_and_is_cleared_at_the_end() {
    let farebox = behind_tls().await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    let (name, value) = ada.cookies().iter().find(|(name, _)| name.contains("session")).cloned().expect("a session");
    assert_eq!((name.as_str(), value.len()), ("__Host-farebox_session", 64), "256 bits");
    let stored = "select count(*)::text from session where encode(digest, 'hex') = ";
    let found: String = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("{stored} '{value}'")))
        .fetch_one(&farebox.pool)
        .await
        .expect("a count");
    assert_eq!(found, "0", "it is stored as a digest");

    let mut browser = Visitor::new(&farebox);
    let token = browser.token("/sign-in").await;
    let cookies: Vec<String> = browser.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let form = [("csrf_token", token.as_str()), ("email", EMAIL), ("password", PASSWORD)];
    let request = farebox.http.post(farebox.url("/sign-in")).header("cookie", cookies.join("; ")).form(&form);
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 303);
    let set: Vec<&str> = answer.headers().get_all("set-cookie").iter().filter_map(|one| one.to_str().ok()).collect();
    let session = set.iter().find(|one| one.starts_with("__Host-farebox_session=")).expect("a session");
    for part in ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/"] {
        assert!(session.contains(part), "{part}: {session}");
    }
    assert!(!session.contains("Domain"), "{session}");

    let token = ada.token("/keys").await;
    let cookies: Vec<String> = ada.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = farebox.http.post(farebox.url("/sign-out")).header("cookie", cookies.join("; "));
    let answer = request.form(&[("csrf_token", token)]).send().await.expect("an answer");
    assert_eq!(answer.status(), 303);
    // Its cookie is taken back by name; others of the host are none of ours.
    assert_eq!(header(&answer, "clear-site-data"), "\"cache\"");
    let taken = answer.headers().get_all("set-cookie").iter().filter_map(|one| one.to_str().ok());
    assert!(taken.into_iter().any(|one| one.starts_with("__Host-farebox_session=;") && one.contains("Max-Age=0")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_chooses_the_address_that_they_come_from() {
    let farebox = Farebox::start().await;
    let mut browser = Visitor::new(&farebox);
    let token = browser.token("/sign-in").await;
    let mut statuses = Vec::new();
    for guess in 0..10 {
        let form = [("csrf_token", token.as_str()), ("email", EMAIL), ("password", "a wrong password")];
        let request = farebox.http.post(farebox.url("/sign-in")).form(&form);
        let claims = request.header("x-forwarded-for", format!("203.0.113.{guess}")).header("x-real-ip", "203.0.113.1");
        statuses.push(browser.send(claims).await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 422).count(), 8, "{statuses:?}");
    assert_eq!(farebox.text("select count(*)::text from sign_in_failure where subject like '%203.0.113%'").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_hash_is_renewed_by_signing_in_and_a_common_password_is_not_taken() {
    let farebox = Farebox::start().await;
    Visitor::member(&farebox, EMAIL, PASSWORD).await;
    let weak = argon2::Params::new(19_456, 2, 1, None).expect("parameters");
    let weak = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, weak);
    let weak = argon2::PasswordHasher::hash_password(&weak, PASSWORD.as_bytes()).expect("a hash").to_string();
    sqlx::query("update person set password_hash = $1").bind(&weak).execute(&farebox.pool).await.expect("weak");
    let hash = "select password_hash from person";
    for (password, renewed) in [("another horse battery", false), (PASSWORD, true), (PASSWORD, true)] {
        let fields = [("email", EMAIL), ("password", password)];
        let page = Visitor::new(&farebox).submit("/sign-in", "/sign-in", &fields).await;
        assert_eq!(page.status, if renewed { 303 } else { 422 });
        assert_eq!(farebox.text(hash).await.contains("m=65536,t=3"), renewed);
    }

    let fields = [("name", "Grace"), ("email", "grace@example.com"), ("password", "Password1")];
    let page = Visitor::new(&farebox).submit("/sign-up", "/sign-up", &fields).await;
    assert!(page.status == 422 && page.body.contains("guessed first"), "{}", page.body);
    assert_eq!(farebox.text("select count(*)::text from person").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_with_more_than_it_asks_for_changes_nothing_more() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    ada.get("/").await;
    let before = farebox.text("select (to_jsonb(p) - 'name')::text from person p").await;
    let more = [
        ("name", "Ada King"),
        ("theme", "system"),
        ("time_zone", "UTC"),
        ("locale", "en-GB"),
        ("email", "eve@example.com"),
        ("email_verified_at", "2020-01-01"),
        ("role", "owner"),
        ("org_id", "org_00000000000000000000000000000000"),
        ("id", "usr_00000000000000000000000000000000"),
        ("password_hash", "x"),
    ];
    let saved = ada.submit("/settings/profile", "/settings/profile", &more).await;
    assert!(matches!(saved.status, 303 | 400 | 422), "{}", saved.status);
    assert_eq!(farebox.text("select (to_jsonb(p) - 'name')::text from person p").await, before);
    let entries = farebox.text("select count(*)::text from audit_entry where action = 'account.profile_changed'").await;
    assert_eq!(entries, if saved.status == 303 { "1" } else { "0" }, "a change is written down");
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}
