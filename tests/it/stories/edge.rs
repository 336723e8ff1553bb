//! What every answer carries, and what is believed of a request.

use reqwest::Response;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options, usual_hashes};

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
    let farebox = Farebox::with(Options { env: vec![usual_hashes()], ..Options::default() }).await;
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

/// The first line of what is answered to bytes that no client would send.
async fn raw(farebox: &Farebox, request: &str) -> String {
    let address = farebox.base.trim_start_matches("http://");
    let mut socket = tokio::net::TcpStream::connect(address).await.expect("a connection");
    socket.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = vec![0; 64];
    let length = socket.read(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer[..length]).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_host_is_not_answered() {
    let env = vec![
        ("FAREBOX_ENV", "production".to_owned()),
        ("FAREBOX_SMTP_URL", "smtp://127.0.0.1:9".to_owned()),
        ("FAREBOX_PUBLIC_URL", "https://ai.example".to_owned()),
        ("FAREBOX_EXTRA_HOSTS", "alias.example,10.1.2.3".to_owned()),
    ];
    let farebox = Farebox::with(Options { env, ..Options::default() }).await;
    let ask = |path: &str, host: &str| farebox.http.get(farebox.url(path)).header("host", host).send();
    for host in ["ai.example", "AI.EXAMPLE:443", "alias.example", "10.1.2.3:8080"] {
        for path in ["/sign-in", "/api/v1/models", "/openapi.json"] {
            assert_eq!(ask(path, host).await.expect("an answer").status(), 200, "{host}{path}");
        }
    }
    let here = farebox.base.trim_start_matches("http://").to_owned();
    for host in ["evil.example", "ai.example.evil.example", &here, "localhost"] {
        for path in ["/sign-in", "/", "/static/nothing", "/api/v1/models", "/v1/none", "/no/such/page"] {
            let answer = ask(path, host).await.expect("an answer");
            assert_eq!(answer.status(), 421, "{host}{path}");
            assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
            assert!(!answer.headers().contains_key("set-cookie"), "{path}");
            let text = answer.text().await.expect("a text");
            assert!(text.contains("FAREBOX_PUBLIC_URL") && !text.contains("evil"), "{path}: {text}");
            if path.contains("v1") {
                assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON")["error"]["code"], 421, "{text}");
            }
        }
        for path in ["/healthz", "/readyz"] {
            assert_eq!(ask(path, host).await.expect("an answer").status(), 200, "{path} is for those inside");
        }
        let webhook = farebox.http.post(farebox.url("/webhooks/stripe")).header("host", host).body("{}");
        assert_eq!(webhook.send().await.expect("an answer").status(), 421);
    }
    for (request, status) in [
        ("GET /sign-in HTTP/1.1\r\n\r\n", "400"),
        ("GET /sign-in HTTP/1.1\r\nhost: ai.example\r\nhost: evil.example\r\n\r\n", "400"),
        ("GET http://evil.example/sign-in HTTP/1.1\r\nhost: ai.example\r\n\r\n", "421"),
        ("GET http://ai.example/sign-in HTTP/1.1\r\nhost: ai.example\r\n\r\n", "200"),
    ] {
        let told = raw(&farebox, request).await;
        assert!(told.contains(&format!(" {status} ")), "{request:?}: {told}");
    }
    // Links in mails lead to the public address, whatever the request named.
    let page = ask("/sign-up", "alias.example").await.expect("an answer");
    assert_eq!(page.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_another_site_is_refused_with_the_headers_of_every_page() {
    let farebox = Farebox::start().await;
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let request = farebox.http.post(farebox.url("/sign-in")).header(name, value);
        let answer = request.form(&[("email", EMAIL), ("password", PASSWORD)]).send().await.expect("an answer");
        assert_eq!(answer.status(), 403, "{name}");
        assert!(header(&answer, "content-security-policy").starts_with("default-src 'none'"), "{name}");
        assert_eq!(header(&answer, "x-frame-options"), "DENY", "{name}");
        assert!(header(&answer, "x-request-id").starts_with("req_"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_when_it_is_not_used() {
    let env = vec![("FAREBOX_SESSION_IDLE_MINUTES", "30".to_owned())];
    let farebox = Farebox::with(Options { env, ..Options::default() }).await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    let mut phone = Visitor::new(&farebox);
    phone.submit("/sign-in", "/sign-in", &[("email", EMAIL), ("password", PASSWORD)]).await;
    let unused = |minutes: u32| {
        let statement = format!("update session set last_seen_at = now() - interval '{minutes} minutes'");
        let pool = farebox.pool.clone();
        async move { sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.expect("time passes") }
    };
    unused(29).await;
    assert_eq!(ada.get("/keys").await.status, 200, "and that was a use");
    assert_eq!(
        farebox.text("select count(*)::text from session where last_seen_at > now() - interval '1 minute'").await,
        "1"
    );
    sqlx::query("update session set last_seen_at = now() - interval '31 minutes' where last_seen_at < now() - interval '5 minutes'")
        .execute(&farebox.pool)
        .await
        .expect("time passes");
    assert_eq!(phone.get("/keys").await.location, "/sign-in?next=%2Fkeys");
    let page = ada.get("/settings/security").await.body;
    assert_eq!(page.matches("/settings/security/sessions/ses_").count(), 0, "one that has ended is not listed");
    unused(31).await;
    assert_eq!(ada.get("/keys").await.status, 303);

    for wrong in ["29", "10081", "a week"] {
        let env = vec![("FAREBOX_SESSION_IDLE_MINUTES", wrong.to_owned())];
        let database_url = Some(farebox.database_url.clone());
        let output = Farebox::refusal(Options { env, database_url, ..Options::default() }).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("FAREBOX_SESSION_IDLE_MINUTES"), "{wrong}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_proxies_of_the_list_say_where_somebody_comes_from() {
    let seen = async |proxies: &str| {
        let env = vec![("FAREBOX_TRUSTED_PROXIES", proxies.to_owned())];
        let farebox = Farebox::with(Options { env, ..Options::default() }).await;
        let mut browser = Visitor::new(&farebox);
        let token = browser.token("/sign-in").await;
        let form = [("csrf_token", token.as_str()), ("email", EMAIL), ("password", "a wrong password")];
        let request = farebox.http.post(farebox.url("/sign-in")).form(&form);
        browser.send(request.header("x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.0.0.5")).await;
        farebox.text("select subject from sign_in_failure where subject like 'ip:%'").await
    };
    assert_eq!(seen("127.0.0.0/8,10.0.0.0/8").await, "ip:203.0.113.9", "the nearest that is no proxy");
    assert_eq!(seen("10.0.0.0/8").await, "ip:127.0.0.1", "who comes directly is not believed");
    assert_eq!(seen("1").await, "ip:10.0.0.5");
}
