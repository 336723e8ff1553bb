//! Forty secrets are planted in a varied session, and then looked for: in the log of the program, in its metrics, in every
//! mail, in every page and answer of the API that was asked for afterwards, the console's as an operator gets them, in traces as
//! a collector gets them, in webhooks, and in every row of every table.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::access::{For, ROUTES, path_of};
use crate::support::fake_upstream::Behaviour;
use crate::support::receiver::Receiver;
use crate::support::routes::{EMAIL, PASSWORD, Routes};
use crate::support::visitor::{Visitor, recovery_link};
use crate::support::{Farebox, Key, team};
use crate::traces::{Collector, HEADER, traced};

const PROVIDERS: [&str; 3] = ["alpha", "beta", "gamma"];

/// What was planted, by what it is.
#[derive(Default)]
struct Canaries(BTreeMap<String, String>);

impl Canaries {
    fn plant(&mut self, what: &str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 12, "{what} is too short to be found by itself");
        let name = format!("{what} {}", self.0.len() + 1);
        self.0.insert(name, secret.clone());
        secret
    }

    fn word(&mut self, what: &str) -> String {
        let word = format!("canary{}", farebox::base::ids::CallId::fresh().0.simple());
        self.plant(what, word)
    }

    /// The names of those that stand in a text, in plain or as JSON, HTML and hex write it.
    fn found_in(&self, text: &str) -> Vec<&str> {
        let in_it = |secret: &str| text.contains(secret) || text.contains(&hex::encode(secret));
        self.0.iter().filter(|(_, secret)| in_it(secret)).map(|(name, _)| name.as_str()).collect()
    }
}

async fn say(farebox: &Farebox, key: &str, text: &str, more: &Value) -> String {
    let mut body = json!({ "model": "lab/other", "messages": [{ "role": "user", "content": text }] });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    let key = Key { text: key.to_owned(), org: String::new(), id: String::new() };
    farebox.post(&key, "/api/v1/chat/completions", &body).await.text().await.unwrap_or_default()
}

/// Every row of every table of the database, as text: what a dump would hold.
async fn dump(farebox: &Farebox) -> Vec<(String, String)> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&farebox.pool)
    .await
    .expect("tables");
    assert!(tables.len() > 50, "{tables:?}");
    let mut rows = Vec::new();
    for table in tables {
        let query = format!("select t::text from {table} t");
        let found: Vec<Option<String>> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_all(&farebox.pool).await.expect("rows");
        rows.extend(found.into_iter().flatten().map(|row| (table.clone(), row)));
    }
    rows
}

/// Every page of the console that answers, as an operator gets it.
async fn as_an_operator(routes: &Routes) -> Vec<(String, String)> {
    let farebox = &routes.farebox;
    let mut root = crate::console::operator(farebox, "root@example.com").await;
    let person = team::person(farebox, EMAIL).await;
    let call: uuid::Uuid = sqlx::query_scalar("select id from usage where org_id = $1 order by id desc limit 1")
        .bind(routes.key.org.parse::<farebox::base::ids::OrgId>().expect("an id").0)
        .fetch_one(&farebox.pool)
        .await
        .expect("a call");
    let call = farebox::base::ids::CallId(call).to_string();
    let month = farebox.text("select to_char(now() at time zone 'UTC', 'YYYY-MM')").await;
    let mut seen = Vec::new();
    for (method, path, _) in ROUTES.iter().filter(|(_, path, _)| path.starts_with("/admin")) {
        let path = path.replace("{org}", &routes.key.org).replace("{call}", &call).replace("{person}", &person);
        let path = path.replace("{month}", &month).replace("{form}", "csv");
        if *method == "get" && !path.contains('{') {
            let page = root.get(&path).await;
            if page.status == 200 {
                seen.push((path, page.body));
            }
        }
    }
    let of_a_call = format!("/admin/organizations/{}/calls/{call}", routes.key.org);
    assert!(seen.iter().any(|(path, _)| *path == of_a_call), "the page of a call is one of them");
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_canaries_are_found_nowhere() {
    let mut canaries = Canaries::default();
    let collector = Collector::start(200).await;
    let mut env = traced(&collector, &[("FAREBOX_LOG", "debug"), ("FAREBOX_ALLOW_PRIVATE_WEBHOOKS", "true")]);
    env.push(("OTEL_TRACES_SAMPLER", "always_on".to_owned()));
    let routes = Routes::with(env).await;
    canaries.plant("collector's password", HEADER);
    let farebox = &routes.farebox;
    let mut ada = routes.ada();
    let receiver = Receiver::start().await;
    let hook = crate::support::receiver::add(&mut ada, &receiver.url("/"), &[]).await;
    canaries.plant("secret of a webhook", hook.secret);

    // Own keys: stored, replaced, refused by the provider (which quotes them), tested, mistyped, disconnected.
    for provider in PROVIDERS {
        let page = format!("/settings/integrations/{provider}");
        for _ in 0..2 {
            let secret = canaries.word("own key");
            let stored = ada.submit(&page, &page, &[("api_key", &secret), ("mode", "first")]).await;
            assert_eq!(stored.status, 303, "{}", stored.body);
        }
        routes.upstream.behave(&format!("{provider}-chat"), Behaviour::Status { status: 401, retry_after: None });
        ada.submit(&page, &format!("{page}/test"), &[]).await;
        let mistyped = format!("{} with a space", canaries.word("mistyped key"));
        assert_eq!(ada.submit(&page, &page, &[("api_key", &mistyped), ("mode", "first")]).await.status, 422);
    }
    say(farebox, &routes.key.text, "Hi.", &json!({ "model": "lab/chat" })).await;
    let told = say(farebox, &routes.key.text, "Hi.", &json!({ "model": "lab/chat", "stream": true })).await;
    assert!(canaries.found_in(&told).is_empty(), "{told}");
    for provider in PROVIDERS {
        routes.works(&format!("{provider}-chat"));
    }

    // Passwords and sessions, of those who come in and of those who do not.
    let mut people = Vec::new();
    for name in ["bob", "carl", "dora"] {
        let password = canaries.word("password");
        let email = format!("{name}@example.com");
        let mut visitor = Visitor::member(farebox, &email, &password).await;
        people.push((email.clone(), visitor.cookies().to_vec()));
        for (name, value) in visitor.cookies().to_vec() {
            if name.contains("session") {
                canaries.plant("session", value);
            }
        }
        let wrong = canaries.word("wrong password");
        let mut stranger = Visitor::new(farebox);
        stranger.submit("/sign-in", "/sign-in", &[("email", &email), ("password", &wrong)]).await;
        visitor.get("/").await;
    }
    canaries.plant("password", PASSWORD);

    // Keys: inference and provisioning ones, made on pages, by the command line and by a program; wrong ones.
    canaries.plant("key", routes.key.text.clone());
    for name in ["one", "two", "three"] {
        let text = team::key(&mut ada, name).await;
        canaries.plant("key", text.clone());
        say(farebox, &text, "Hi.", &json!({})).await;
        let authorization = format!("sk-fb-v1-{}", canaries.word("wrong key"));
        say(farebox, &authorization, "Hi.", &json!({})).await;
    }
    let provisioning = super::management::provisioning(farebox, EMAIL, "", &[]).await;
    canaries.plant("provisioning key", provisioning.text.clone());
    let made = farebox.post(&provisioning, "/api/v1/keys", &json!({ "name": "made by a program" })).await;
    let made: Value = made.json().await.expect("JSON");
    canaries.plant("key", made["key"].as_str().expect("a key"));
    let listed = farebox.get(&provisioning, "/api/v1/byok?provider=alpha").await;
    let own = format!("/api/v1/byok/{}", listed["data"][0]["id"].as_str().expect("an id"));
    for body in [
        json!({ "key": canaries.word("own key by a program") }),
        json!({ "key": format!("{} with a space", canaries.word("mistyped key by a program")) }),
    ] {
        let told = super::management::send(farebox, &provisioning, reqwest::Method::PATCH, &own, Some(body)).await;
        let told = told.text().await.expect("a body");
        assert!(canaries.found_in(&told).is_empty(), "{told}");
    }

    // What people say and what they are told, kept and not kept, whole and in a stream, also where the provider fails.
    for (kept, log) in [(false, ""), (true, "yes")] {
        let form = [("paid_training", "yes"), ("free_training", "yes"), ("keep_days", "30"), ("log_texts", log)];
        let saved = ada.submit("/settings/privacy", "/settings/privacy", &form).await;
        assert_eq!(saved.status, 303, "{}", saved.body);
        tokio::time::sleep(std::time::Duration::from_millis(if kept { 1_500 } else { 100 })).await;
        for stream in [false, true] {
            let (asked, answered) = (canaries.word("prompt"), canaries.word("answer"));
            let good = Behaviour::Ok { prompt: 10, completion: 20, text: answered.clone() };
            routes.upstream.behave("beta-other", good);
            let told = say(farebox, &routes.key.text, &asked, &json!({ "stream": stream })).await;
            assert!(stream || told.contains(&answered), "{told}");
            let failed = canaries.word("prompt of a failed call");
            routes.upstream.behave("beta-other", Behaviour::Status { status: 500, retry_after: None });
            say(farebox, &routes.key.text, &failed, &json!({ "stream": stream })).await;
        }
    }
    // A system prompt is a setting that its owner reads again, so it is none of these. A link to reset a password is one.
    let mut stranger = Visitor::new(farebox);
    stranger.submit("/recover", "/recover", &[("email", "dora@example.com")]).await;
    let link = recovery_link(farebox, "dora@example.com").await;
    let token = link.split_once("token=").map(|(_, token)| token.to_owned()).expect("a token");
    assert!(canaries.0.len() >= 40, "{} are planted", canaries.0.len());
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;

    // Pages of everybody and the API, after all of it. What was kept of a call is on its own page alone, for who may.
    let mut pages = Vec::new();
    for (method, path, who) in ROUTES.iter().filter(|(method, _, _)| *method == "get") {
        let path = path_of(path, "beta").replace("{name}", "other").replace("{path:.*}", "");
        let _ = method;
        match who {
            For::Key | For::Provisioning => {
                let key = if *who == For::Key { &routes.key } else { &provisioning };
                let path = if path.starts_with("/api/") { path } else { format!("/api/v1{path}") };
                let answer =
                    farebox.http.get(farebox.url(&path)).bearer_auth(&key.text).send().await.expect("an answer");
                pages.push((path, answer.text().await.unwrap_or_default()));
            }
            _ => pages.push((path.clone(), ada.get(&path).await.body)),
        }
    }
    for (email, cookies) in &people {
        let mut visitor = Visitor::with_cookies(farebox, cookies);
        for path in ["/", "/keys", "/activity", "/settings/integrations", "/settings/privacy", "/settings/security"] {
            pages.push((format!("{path} of {email}"), visitor.get(path).await.body));
        }
    }
    pages.push(("/activity/export".to_owned(), ada.get("/settings/audit/export").await.body));
    assert!(pages.iter().filter(|(_, body)| body.len() > 500).count() > 30, "{} pages were seen", pages.len());
    for (path, body) in &pages {
        assert!(canaries.found_in(body).is_empty(), "{path} has {:?}", canaries.found_in(body));
    }

    let seen = as_an_operator(&routes).await;
    assert!(seen.len() > 25, "{} pages of the console were seen", seen.len());
    for (path, body) in &seen {
        assert!(canaries.found_in(body).is_empty(), "{path} has {:?}", canaries.found_in(body));
    }
    let traces = String::from_utf8_lossy(&collector.raw()).into_owned();
    assert!(traces.contains("lab/other") && traces.contains("farebox-of-a-test"), "{} bytes", traces.len());
    assert!(canaries.found_in(&traces).is_empty(), "a trace has {:?}", canaries.found_in(&traces));
    let told: Vec<String> = receiver.came().iter().map(|one| format!("{:?} {}", one.head, one.body)).collect();
    assert!(!told.is_empty(), "a key was made, and nobody was told");
    for message in &told {
        assert!(canaries.found_in(message).is_empty(), "a webhook has {:?}", canaries.found_in(message));
    }

    let log = farebox.log();
    assert!(log.len() > 1_000 && canaries.found_in(&log).is_empty(), "the log has {:?}", canaries.found_in(&log));
    let metrics =
        farebox.http.get(farebox.url("/metrics")).send().await.expect("an answer").text().await.expect("text");
    assert!(metrics.contains("farebox_calls_total") && canaries.found_in(&metrics).is_empty());
    let mails: Vec<String> =
        sqlx::query_scalar("select m::text from mail m").fetch_all(&farebox.pool).await.expect("mails");
    assert!(mails.len() >= 4);
    for mail in &mails {
        assert!(canaries.found_in(mail).is_empty(), "a mail has {:?}", canaries.found_in(mail));
    }
    let rows = dump(farebox).await;
    assert!(rows.len() > 200, "{} rows", rows.len());
    for (table, row) in &rows {
        assert!(canaries.found_in(row).is_empty(), "{table} has {:?}", canaries.found_in(row));
    }
    // The search itself finds what is there: the address of somebody, and the link in its mail.
    let known =
        Canaries(BTreeMap::from([("address".to_owned(), "dora@example.com".to_owned()), ("link".to_owned(), token)]));
    let seen: Vec<&str> = rows.iter().flat_map(|(_, row)| known.found_in(row)).collect();
    assert!(seen.contains(&"address") && seen.contains(&"link"), "a search that finds nothing proves nothing");
    let texts: i64 =
        sqlx::query_scalar("select count(*) from call_text").fetch_one(&farebox.pool).await.expect("a count");
    assert!(texts >= 2, "{texts} texts were stored, and none of them in plain");
    farebox.books_are_clean().await;
}
