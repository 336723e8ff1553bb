//! `farebox doctor` finds what is wrong, says what to do, repeats no secret, and changes nothing.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use farebox::base::Clock;
use farebox::cli::doctor;
use farebox::config::read_leniently;
use farebox::db::embedded::{DATABASE, Embedded, Options as Server, Profile};
use serde_json::Value;
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::fake_oidc::{FAKE, FakeOidc, Mood as OidcMood, settings};
use crate::support::fake_smtp::{FakeSmtp, Mood};
use crate::support::farebox::free_port;
use crate::support::lab::{self, Endpoint, Provider};
use crate::support::shop::Shop;
use crate::support::{Farebox, Options, calendar, cluster, rail};

const RANDOM_KEY: &str = "9c1f0b6e7d2a48531e6bfa90c3d4875229b1e0f7ac5d46381f0e9d8c7b6a5543";
const UPSTREAM_KEY: &str = "sk-upstream-secret-4711";
const SMTP_PASSWORD: &str = "smtp-secret-0815";

/// A server that says the same to everybody, at a time of its own.
async fn stub(status: u16, ahead: TimeDelta, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4_096];
                let _ = socket.read(&mut head).await;
                let date = (Clock::system().now() + ahead).format("%a, %d %b %Y %H:%M:%S GMT");
                let answer = format!(
                    "HTTP/1.1 {status} Status\r\ndate: {date}\r\ncontent-type: application/json\r\n\
                     content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    url
}

fn keyed(base: &str) -> String {
    let url = format!("{base}/v1");
    let provider = Provider { slug: "keyed", kind: "openai", base_url: &url, cancel_stops_billing: true };
    let endpoint = Endpoint { model: "keyed/model", provider: "keyed", upstream_model: "model" };
    let catalog = lab::catalog(&[provider], &[endpoint]);
    catalog.replace("kind = \"openai\"\n", "kind = \"openai\"\nkey_env = \"LAB_KEY\"\n")
}

struct Examined {
    code: Option<i32>,
    text: String,
    report: Value,
}

impl Examined {
    /// The level and what was found, of the first finding of this name.
    fn of(&self, check: &str) -> (&str, &str) {
        let all = self.report["findings"].as_array().expect("findings");
        let found = all.iter().find(|one| one["check"] == check);
        let found = found.unwrap_or_else(|| panic!("{check} was not looked at: {}", self.text));
        (found["level"].as_str().expect("a level"), found["found"].as_str().expect("a text"))
    }

    fn is(&self, check: &str, level: &str, says: &str) {
        let (found, said) = self.of(check);
        assert!(found == level && said.contains(says), "{check} is {found}, not {level}: {said}\n{}", self.text);
    }

    /// Everything that is not well.
    fn troubles(&self) -> Vec<&str> {
        let all = self.report["findings"].as_array().expect("findings");
        let bad = all.iter().filter(|one| one["level"] != "ok");
        bad.filter_map(|one| one["check"].as_str()).collect()
    }
}

async fn examine(farebox: &Farebox, more: &[&str]) -> Examined {
    let output = farebox.cli(&[["doctor", "--json"].as_slice(), more].concat()).await;
    let text = String::from_utf8(output.stdout).expect("text");
    let report = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr));
    });
    Examined { code: output.status.code(), text, report }
}

async fn run(pool: &PgPool, statement: &'static str) {
    sqlx::query(statement).execute(pool).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_instance_is_told_so_and_nothing_is_changed() {
    calendar::within_a_day().await;
    let server = tokio::task::spawn_blocking(|| {
        Embedded::start(Server { profile: Profile::Durable, ..Server::temporary() }).expect("a durable server")
    });
    let server = server.await.expect("a thread");
    let (smtp, oidc, shop) = (FakeSmtp::start(Mood::Takes).await, FakeOidc::start(), Shop::open().await);
    let (btcpay, coinbase) = (rail::btcpay(), rail::coinbase());
    let upstream = stub(200, TimeDelta::zero(), "{\"data\":[]}").await;
    let mut env = settings(FAKE, &oidc.issuer());
    env.extend([
        ("FAREBOX_SECRET_KEY", RANDOM_KEY.to_owned()),
        ("FAREBOX_ALLOW_PRIVATE_UPSTREAMS", "true".to_owned()),
        ("FAREBOX_SMTP_URL", smtp.url.replace("smtp://", &format!("smtp://mailer:{SMTP_PASSWORD}@"))),
        ("FAREBOX_STRIPE_SECRET_KEY", crate::support::shop::KEY.to_owned()),
        ("FAREBOX_STRIPE_WEBHOOK_SECRET", "whsec_a_long_one_of_the_card_processor".to_owned()),
        ("FAREBOX_STRIPE_URL", shop.stripe.url().to_string()),
        ("FAREBOX_BTCPAY_URL", btcpay.url().to_string()),
        ("FAREBOX_BTCPAY_STORE_ID", rail::STORE.to_owned()),
        ("FAREBOX_BTCPAY_API_KEY", rail::API_KEY.to_owned()),
        ("FAREBOX_BTCPAY_WEBHOOK_SECRET", "a long secret of the store's webhook".to_owned()),
        ("FAREBOX_COINBASE_URL", coinbase.url().to_string()),
        ("FAREBOX_COINBASE_KEY_ID", rail::KEY_ID.to_owned()),
        ("FAREBOX_COINBASE_KEY_SECRET", rail::KEY_SECRET.to_owned()),
        ("FAREBOX_COINBASE_WEBHOOK_SECRET", "a long secret of the subscription".to_owned()),
    ]);
    let options = Options { database_url: Some(server.url(DATABASE)), env, ..Options::default() };
    let farebox = Farebox::with(options).await;
    lab::apply(&farebox.database_url, &keyed(&upstream)).await;
    for (arguments, input) in [
        (vec!["providers", "set-key", "keyed"], UPSTREAM_KEY),
        (vec!["user", "create", "--email", "ada@example.com"], "correct horse battery"),
        (vec!["user", "operator", "--email", "ada@example.com"], ""),
    ] {
        let output = farebox.cli_with(&arguments, input).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let key = farebox.key("ada@example.com", "10", &[]).await;
    farebox.chat(&key, "sandbox/penny", "hi", serde_json::json!({})).await;
    farebox.holds_are_closed().await;

    let count =
        "select (select count(*) from transfer) + (select count(*) from audit_entry) + (select count(*) from mail)";
    let rows: i64 = sqlx::query_scalar(count).fetch_one(&farebox.pool).await.expect("a count");
    let healthy = examine(&farebox, &["--deep"]).await;
    assert_eq!(healthy.troubles(), [""; 0], "{}", healthy.text);
    assert_eq!((healthy.code, &healthy.report["level"]), (Some(0), &Value::from("ok")));
    for (check, says) in [
        ("settings", "valid"),
        ("schema", "all of them applied"),
        ("wall between tenants", "nobody see"),
        ("parts of the calls", "3 more"),
        ("database's clock", "seconds"),
        ("keys of providers", "1 opened"),
        ("mail server", "lets us in"),
        ("stripe", "takes the key"),
        ("btcpay", "takes the key"),
        ("coinbase", "takes the key"),
        ("sign-in with Fake", "tells of itself"),
        ("keyed", "takes the key"),
        ("held credits", "sums of their holds"),
        ("verification", "clean"),
        ("audit log", "whole"),
    ] {
        healthy.is(check, "ok", says);
    }
    let after: i64 = sqlx::query_scalar(count).fetch_one(&farebox.pool).await.expect("a count");
    assert_eq!((rows, smtp.taken().len()), (after, 0), "it changes and sends nothing");

    let sent = examine(&farebox, &["--send", "grace@example.com"]).await;
    sent.is("mail", "ok", "took one");
    let mails = smtp.taken();
    assert!(mails.len() == 1 && mails[0].contains("grace@example.com") && mails[0].contains("doctor"), "{mails:?}");
    let text = farebox.cli(&["doctor"]).await;
    let said = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(said.contains("database\n  ok ") && said.contains("0 warnings, 0 faults"), "{said}");
    drop(farebox);
    tokio::task::spawn_blocking(move || server.stop()).await.expect("a thread");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_is_found_and_no_secret_is_repeated() {
    let (smtp, oidc) = (FakeSmtp::start(Mood::Refuses).await, FakeOidc::start());
    oidc.mood(OidcMood::Impostor);
    let hours = TimeDelta::hours(2);
    let upstream = stub(401, hours, "{\"error\":{\"message\":\"sk-upstream-secret-4711 is wrong\"}}").await;
    let refused =
        "{\"error\":{\"message\":\"Invalid API Key provided: sk_test_of_nobody\",\"type\":\"invalid_request_error\"}}";
    let stripe = stub(401, hours, refused).await;
    let mut env = settings(FAKE, &oidc.issuer());
    env.extend([
        ("FAREBOX_ALLOW_PRIVATE_UPSTREAMS", "true".to_owned()),
        ("FAREBOX_SMTP_URL", smtp.url.replace("smtp://", &format!("smtp://mailer:{SMTP_PASSWORD}@"))),
        ("FAREBOX_STRIPE_SECRET_KEY", "sk_test_of_nobody".to_owned()),
        ("FAREBOX_STRIPE_WEBHOOK_SECRET", "whsec_of_the_shop".to_owned()),
        ("FAREBOX_STRIPE_URL", format!("{stripe}/")),
        ("FAREBOX_BTCPAY_URL", format!("http://127.0.0.1:{}/", free_port())),
        ("FAREBOX_BTCPAY_STORE_ID", rail::STORE.to_owned()),
        ("FAREBOX_BTCPAY_API_KEY", rail::API_KEY.to_owned()),
        ("FAREBOX_BTCPAY_WEBHOOK_SECRET", "whsec_of_the_shop".to_owned()),
        ("FAREBOX_HOLD_TTL_SECONDS", "60".to_owned()),
        ("FAREBOX_DEFAULT_MODEL", "nobody/nothing".to_owned()),
        ("FAREBOX_METRICS_TOKEN", "metrics-55".to_owned()),
    ]);
    let mut farebox = Farebox::with(Options { env, ..Options::default() }).await;
    lab::apply(&farebox.database_url, &keyed(&upstream)).await;
    farebox.cli_with(&["providers", "set-key", "keyed"], UPSTREAM_KEY).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    // A running server would sweep what is put there.
    farebox.kill();
    // A data key of a key-encryption key that nobody has, and a table whose wall is down.
    sqlx::query(
        "insert into data_key (org_id, id, kek_id, nonce, ciphertext)
         select org_id, gen_random_uuid(), 'lost', 'a', 'b' from credit limit 1",
    )
    .execute(&farebox.pool)
    .await
    .expect("a row");
    run(&farebox.pool, "alter table mail add column org_id uuid").await;
    run(&farebox.pool, "update credit set held = held + 1").await;
    run(&farebox.pool, "insert into hold (org_id, id, amount, meters, memo, expires_at) select org_id, gen_random_uuid(), 0, '{}', '', now() - interval '1 hour' from credit limit 1").await;

    let sick = examine(&farebox, &["--deep"]).await;
    assert_eq!(sick.code, Some(2), "{}", sick.text);
    for (check, level, says) in [
        ("FAREBOX_SECRET_KEY", "warning", "not random"),
        ("FAREBOX_METRICS_TOKEN", "warning", "guessed"),
        ("FAREBOX_HOLD_TTL_SECONDS", "fault", "1020"),
        ("webhook secrets", "warning", "share"),
        ("fsync", "fault", "off"),
        ("schema", "ok", "applied"),
        ("wall between tenants", "fault", "mail"),
        ("operators", "warning", "nobody"),
        ("database's clock", "ok", ""),
        ("data keys of key lost", "fault", "1 of 1"),
        ("mail server", "fault", "535"),
        ("stripe", "fault", "refuses"),
        ("btcpay", "fault", "did not answer"),
        ("sign-in with Fake", "fault", "another issuer"),
        ("keyed", "fault", "401"),
        ("FAREBOX_DEFAULT_MODEL", "fault", "nobody/nothing"),
        ("held credits", "fault", "1 organizations"),
        ("holds", "warning", "1 ended"),
        ("verification", "fault", "not what they should be"),
    ] {
        sick.is(check, level, says);
    }
    let plain = farebox.cli(&["doctor"]).await;
    let said = String::from_utf8_lossy(&[plain.stdout, plain.stderr].concat()).into_owned();
    assert!(plain.status.code() == Some(2) && said.contains("FAULT") && said.contains("-> "), "{said}");
    let sent = "AG1haWxlcgBzbXRwLXNlY3JldC0wODE1";
    for secret in [
        sent,
        UPSTREAM_KEY,
        SMTP_PASSWORD,
        "sk_test_of_nobody",
        "whsec_of",
        rail::API_KEY,
        "metrics-55",
        crate::support::fake_oidc::CLIENT_SECRET,
        crate::support::farebox::SECRET_KEY,
        &key.text,
    ] {
        assert!(!said.contains(secret) && !sick.text.contains(secret), "{secret} is repeated: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_another_version_is_told_in_both_directions() {
    let farebox = Farebox::start().await;
    run(&farebox.pool, "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)")
        .await;
    let behind = examine(&farebox, &[]).await;
    behind.is("schema", "fault", "1 migrations are pending");
    assert_eq!(behind.code, Some(2));
    let left: i64 =
        sqlx::query_scalar("select count(*) from _sqlx_migrations").fetch_one(&farebox.pool).await.expect("rows");
    assert_eq!(usize::try_from(left), Ok(farebox::db::migrate::MIGRATOR.iter().count() - 1), "it migrates nothing");
    behind.is("held credits", "ok", "sums");
    run(
        &farebox.pool,
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9999, 'later', true, '', 0)",
    )
    .await;
    run(&farebox.pool, "update _sqlx_migrations set checksum = 'x' where version = 1").await;
    let both = examine(&farebox, &[]).await;
    assert!(
        both.text.contains("9999") && both.text.contains("were others") && both.text.contains("pending"),
        "{}",
        both.text
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_database_everything_else_is_looked_at_all_the_same() {
    let smtp = FakeSmtp::start(Mood::Takes).await;
    let env = vec![("FAREBOX_SMTP_URL", smtp.url.clone())];
    let mut farebox = Farebox::with(Options { env, ..Options::default() }).await;
    farebox.kill();
    let wrong = [
        format!("postgres://farebox:db-secret-99@127.0.0.1:{}/farebox", free_port()),
        farebox.database_url.replace("farebox_test", "farebox_gone"),
        "no address at all".to_owned(),
    ];
    for url in wrong {
        let began = Instant::now();
        farebox.database_url.clone_from(&url);
        let lost = examine(&farebox, &[]).await;
        assert!(began.elapsed() < Duration::from_secs(45), "{url} took {:?}", began.elapsed());
        assert_eq!(lost.code, Some(2), "{}", lost.text);
        let areas: Vec<&str> = lost.report["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .filter_map(|one| one["area"].as_str())
            .collect();
        for area in [
            "configuration",
            "disk",
            "database",
            "clock",
            "secrets",
            "mail",
            "payments",
            "sign-in",
            "providers",
            "books",
        ] {
            assert!(areas.contains(&area), "{area}: {}", lost.text);
        }
        lost.is("mail server", "ok", "lets us in");
        assert!(!lost.text.contains("db-secret-99"), "{}", lost.text);
    }
}

/// Slow is not away: areas that wait for others to be done with the few connections are looked at all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_database_is_waited_for() {
    let farebox = Farebox::start().await;
    farebox.key("ada@example.com", "10", &[]).await;
    // For eight seconds four areas get no answer, and hold what connections there are.
    let mut busy = farebox.pool.begin().await.expect("a transaction");
    sqlx::raw_sql("lock table mail, processor_event, data_key, credit in access exclusive mode")
        .execute(&mut *busy)
        .await
        .expect("locks");
    let until = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(8)).await;
        busy.rollback().await
    });
    let slow = examine(&farebox, &[]).await;
    until.await.expect("a task").expect("the end");
    assert!(!slow.text.contains("could not be looked at"), "{}", slow.text);
    for check in ["outbox", "messages of processors", "held credits", "schema", "database's clock", "catalog"] {
        assert!(slow.text.contains(&format!("\"check\": \"{check}\"")), "{check}: {}", slow.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_contradict_are_told_all_at_once() {
    let mut farebox = Farebox::start().await;
    farebox.kill();
    let broken = [
        ("FAREBOX_ENV", "production"),
        ("FAREBOX_STAND_INS", "true"),
        ("FAREBOX_PUBLIC_URL", "http://ai.example.com"),
        ("FAREBOX_WORKERS", "many"),
        ("FAREBOX_STRIPE_SECRET_KEY", "sk_test_4711081512"),
    ];
    let broken = farebox.cli_env(&["doctor", "--json"], &broken).await;
    let text = String::from_utf8_lossy(&broken.stdout).into_owned();
    assert_eq!(broken.status.code(), Some(2), "{text}");
    for says in [
        "FAREBOX_STAND_INS",
        "FAREBOX_WORKERS",
        "FAREBOX_STRIPE_WEBHOOK_SECRET",
        "FAREBOX_SMTP_URL",
        "is not https",
        "\"schema\"",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    assert!(!text.contains("4711081512"), "{text}");
}

/// A database whose clock goes right, and a machine whose clock does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_is_told() {
    let url = cluster::database().await;
    let data = tempfile::tempdir().expect("a directory");
    let elsewhere = stub(401, TimeDelta::hours(2), "{}").await;
    let given = [
        ("FAREBOX_STRIPE_SECRET_KEY", "sk_test_1".to_owned()),
        ("FAREBOX_STRIPE_WEBHOOK_SECRET", "whsec_a_long_one_of_the_card_processor".to_owned()),
        ("FAREBOX_STRIPE_URL", format!("{elsewhere}/")),
        ("FAREBOX_ALLOW_PRIVATE_UPSTREAMS", "true".to_owned()),
        ("FAREBOX_DATABASE_URL", url),
        ("FAREBOX_SECRET_KEY", RANDOM_KEY.to_owned()),
        ("FAREBOX_DATA_DIR", data.path().display().to_string()),
    ];
    let reading = read_leniently(given.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    // It makes TLS ready, as `main` does.
    let _ = crate::support::http::client();
    let database = doctor::reach(reading.config.as_ref().expect("settings"));
    for (ahead, level, says) in [
        (TimeDelta::zero(), doctor::Level::Ok, "seconds"),
        (TimeDelta::seconds(12), doctor::Level::Warning, "ahead"),
        (TimeDelta::seconds(-45), doctor::Level::Fault, "behind"),
    ] {
        let report = doctor::examine(&reading, Some(&database), &doctor::Options::default(), ahead).await;
        let found = report.findings.iter().find(|one| one.check == "database's clock").expect("it is looked at");
        assert!(found.level == level && found.found.contains(says), "{ahead}: {found:?}");
        let there = report.findings.iter().find(|one| one.check == "clock of 127.0.0.1").expect("it is asked");
        assert!(there.level == doctor::Level::Fault && there.found.contains("behind"), "{there:?}");
    }
}
