//! In production nothing stands in for anything, and no secret is left lying about.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::fake_upstream::FakeUpstream;
use crate::support::lab::{self, Endpoint, Provider};
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options, cluster, farebox};

fn production(more: &[(&'static str, &str)]) -> Options {
    let mut env = vec![
        ("FAREBOX_ENV", "production".to_owned()),
        // Nobody listens there: mails wait in the outbox.
        ("FAREBOX_SMTP_URL", "smtp://mailer:smtp-secret-0815@127.0.0.1:9".to_owned()),
    ];
    env.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    Options { env, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stand_ins_do_not_exist() {
    let farebox = Farebox::with(production(&[])).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let models = farebox.get(&key, "/api/v1/models").await;
    let ids: Vec<&str> =
        models["data"].as_array().expect("a list").iter().filter_map(|one| one["id"].as_str()).collect();
    assert!(ids.iter().all(|id| !id.starts_with("sandbox")), "{ids:?}");
    let providers = farebox.get(&key, "/api/v1/providers").await.to_string();
    assert!(!providers.to_lowercase().contains("sandbox"), "{providers}");
    for model in ["sandbox/echo", "sandbox/penny", "sandbox/free", "sandbox/slow"] {
        let answer = farebox.chat(&key, model, "hi", json!({})).await;
        assert_eq!(answer.status(), 404, "{model}");
    }
    let mut ada = Visitor::member(&farebox, "grace@example.com", "correct horse battery").await;
    let unknown = ada.get("/no-such-page").await;
    assert_eq!(unknown.status, 404);
    let id = farebox::unused_id("top_");
    for path in ["/dev/mailbox".to_owned(), "/dev/mailbox/1".to_owned(), format!("/sandbox/checkout/{id}")] {
        assert_eq!(ada.get(&path).await.status, 404, "{path}");
        let token = ada.token("/settings/profile").await;
        assert_eq!(ada.post(&token, &path, &[]).await.status, 404, "{path}");
    }
    for path in ["/", "/credits", "/models", "/keys", "/activity", "/sign-in", "/docs/api"] {
        let page = ada.get(path).await;
        let text = page.body.to_lowercase();
        assert!(!text.contains("sandbox/") && !text.contains("/dev/"), "{path} speaks of stand-ins");
    }
    farebox.books_are_clean().await;
}

#[tokio::test]
async fn it_does_not_start_without_what_it_needs() {
    let url = cluster::database().await;
    for (missing, name) in [
        ("FAREBOX_SECRET_KEY", "FAREBOX_SECRET_KEY"),
        ("FAREBOX_SMTP_URL", "FAREBOX_SMTP_URL"),
        ("DATABASE_URL", "FAREBOX_DATABASE_URL"),
    ] {
        let mut options = production(&[(missing, "")]);
        options.database_url = Some(url.clone());
        let output = Farebox::refusal(options).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(name), "without {missing}: {said}");
        assert!(!said.contains(farebox::SECRET_KEY), "{said}");
    }
    let mut short = production(&[("FAREBOX_SECRET_KEY", "1234")]);
    short.database_url = Some(url);
    assert!(!Farebox::refusal(short).await.status.success(), "a key that is too short is no key");
}

/// Every row of every table as text, binary columns in hex.
async fn dump(pool: &PgPool) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables
         where schemaname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(pool)
    .await
    .expect("tables");
    assert!(tables.len() > 15, "{tables:?}");
    let mut text = String::new();
    for table in tables {
        // Names of our own schema.
        let query = format!("select coalesce(string_agg(t::text, E'\\n'), '') from {table} t");
        let rows: String = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(pool).await.expect("rows");
        text.push_str(&format!("{table}\n{rows}\n"));
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_the_log_or_in_the_database() {
    const PASSWORD: &str = "correct-horse-battery-staple-77";
    const UPSTREAM_KEY: &str = "sk-upstream-secret-4711";
    const PROMPT: &str = "my-private-question-31337";
    let fake = FakeUpstream::start();
    let url = fake.base_url();
    let provider = Provider { slug: "keyed", kind: "openai", base_url: &url, cancel_stops_billing: true };
    let endpoint = Endpoint { model: "keyed/model", provider: "keyed", upstream_model: "model" };
    let catalog = lab::catalog(&[provider], &[endpoint])
        .replace("kind = \"openai\"\n", "kind = \"openai\"\nkey_env = \"LAB_KEY\"\n");
    let loud = [("FAREBOX_LOG", "debug"), ("FAREBOX_METRICS_TOKEN", "metrics-secret-55")];
    let farebox = lab::start(&catalog, production(&loud)).await;
    let stored = farebox.cli_with(&["providers", "set-key", "keyed"], UPSTREAM_KEY).await;
    assert!(stored.status.success(), "{}", String::from_utf8_lossy(&stored.stderr));

    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    ada.submit("/settings/profile", "/sign-out", &[]).await;
    let wrong = format!("{PASSWORD}-mistyped");
    ada.submit("/sign-in", "/sign-in", &[("email", "ada@example.com"), ("password", &wrong)]).await;
    let page = ada.submit("/sign-in", "/sign-in", &[("email", "ada@example.com"), ("password", PASSWORD)]).await;
    assert_eq!(page.status, 303, "{}", page.body);
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let mut answer: Value = Value::Null;
    for _ in 0..40 {
        let tried = farebox.chat(&key, "keyed/model", PROMPT, json!({})).await;
        let status = tried.status();
        answer = tried.json().await.expect("JSON");
        if status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(answer["usage"]["cost"].is_number(), "{answer}");
    for body in ["{\"broken", "{}"] {
        let request = farebox.http.post(farebox.url("/api/v1/chat/completions")).bearer_auth(&key.text);
        request.body(format!("{body}{PROMPT}")).send().await.expect("an answer");
    }
    farebox.get(&key, &format!("/api/v1/generation?id={}", key.text)).await;
    farebox.holds_are_closed().await;

    let log = farebox.log();
    let rows = dump(&farebox.pool).await;
    let mut secrets: Vec<(&str, &str)> = vec![
        ("the key", &key.text),
        ("the secret part of the key", &key.text["sk-fb-v1-".len()..]),
        ("the password", PASSWORD),
        ("the provider's key", UPSTREAM_KEY),
        ("the prompt", PROMPT),
        ("the secret key", farebox::SECRET_KEY),
        ("the mail server's password", "smtp-secret-0815"),
        ("the token of metrics", "metrics-secret-55"),
    ];
    secrets.extend(ada.cookies().iter().map(|(_, value)| ("a cookie", value.as_str())));
    assert!(log.contains("request") && rows.contains("ada@example.com"), "there is something to look through\n{log}");
    for (what, secret) in secrets {
        assert!(secret.len() >= 8, "{what} is too short to look for");
        for (place, text) in [("the log", &log), ("the database", &rows)] {
            for form in [secret.to_owned(), hex::encode(secret)] {
                let found = text.lines().find(|line| line.contains(&form));
                assert!(found.is_none(), "{what} is in {place}: {found:?}");
            }
        }
    }
}
