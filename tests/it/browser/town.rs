//! An organization that has lived for a while: keys, calls and payments in every state.

use serde_json::json;

use crate::support::fake_upstream::{FakeUpstream, Refused};
use crate::support::farebox::{Farebox, Key};
use crate::support::lab::{self, Endpoint, Provider};
use crate::support::visitor::{Page, Visitor, form};

pub const NEWCOMER: &str = "new@example.com";
pub const EMAIL: &str = "ada@example.com";
pub const PASSWORD: &str = "correct horse battery";
/// Nobody listens there.
const AWAY: &str = "http://127.0.0.1:9";
/// Nothing on a page may break because a name is long.
const LONG_NAME: &str = "Integration tests of the quarterly reporting pipeline, second attempt, staging";

pub struct Town {
    pub farebox: Farebox,
    pub cookies: Vec<(String, String)>,
    /// Somebody who has just signed up.
    pub newcomer: Vec<(String, String)>,
    _upstream: FakeUpstream,
    _refused: Refused,
}

impl Town {
    pub async fn build() -> Town {
        let (upstream, refused) = (FakeUpstream::start(), Refused::new());
        let good = upstream.base_url();
        let bad = refused.base_url();
        let provider = |slug, base_url| Provider { slug, kind: "openai", base_url, cancel_stops_billing: true };
        let endpoint = |model, provider| Endpoint { model, provider, upstream_model: "m" };
        let catalog = lab::catalog(
            &[provider("north", &good), provider("south", &bad)],
            &[endpoint("lab/steady", "north"), endpoint("lab/steady", "south"), endpoint("lab/broken", "south")],
        );
        // A provider that does not answer: pages show its buttons, and what they say when it is away.
        let google = [
            ("FAREBOX_GOOGLE_CLIENT_ID", "town"),
            ("FAREBOX_GOOGLE_CLIENT_SECRET", "town-secret"),
            ("FAREBOX_GOOGLE_ISSUER", AWAY),
        ];
        let env = google.map(|(name, value)| (name, value.to_owned())).to_vec();
        let farebox =
            lab::start(&catalog, crate::support::Options { env, localhost: true, ..Default::default() }).await;
        let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
        payments(&farebox, &mut ada).await;
        keys_and_calls(&farebox).await;
        history(&farebox).await;
        let cookies = ada.cookies().to_vec();
        let newcomer = Visitor::member(&farebox, NEWCOMER, PASSWORD).await.cookies().to_vec();
        Town { farebox, cookies, newcomer, _upstream: upstream, _refused: refused }
    }

    /// The path of the newest call with this status.
    pub async fn call(&self, status: &str) -> String {
        let id: uuid::Uuid = sqlx::query_scalar(
            "select id from usage where status = $1 and request_id <> 'history' order by cost > 0 desc, id desc limit 1",
        )
        .bind(status)
        .fetch_one(&self.farebox.pool)
        .await
        .expect("such a call");
        format!("/activity/{}", farebox::base::ids::CallId(id))
    }

    /// The path of a payment in this state.
    pub async fn payment(&self, state: &str) -> String {
        let id: uuid::Uuid = sqlx::query_scalar("select id from topup where state = $1 order by id limit 1")
            .bind(state)
            .fetch_one(&self.farebox.pool)
            .await
            .expect("such a payment");
        format!("/credits/topups/{}", farebox::base::ids::TopUpId(id))
    }

    /// Ada signs in elsewhere, too, once with a provider that is not there any more; she has just shown who she is.
    pub async fn elsewhere(&self) {
        for statement in [
            "update session set authenticated_at = now()",
            "insert into identity (id, person_id, issuer, subject, email, last_used_at)
             select gen_random_uuid(), id, 'http://127.0.0.1:9', '1', email, now() from person
             where email = 'ada@example.com'",
            "insert into identity (id, person_id, issuer, subject, email, linked_at)
             select gen_random_uuid(), id, 'https://id.quarterly-reporting-pipeline.example/realms/second-attempt', '1',
                 'ada.lovelace.of.the.quarterly.reporting.pipeline@subsidiary.example.com', now() - interval '40 days'
             from person where email = 'ada@example.com'",
        ] {
            sqlx::query(statement).execute(&self.farebox.pool).await.expect("done");
        }
    }

    /// Ada chooses another language.
    pub async fn read_as(&self, locale: &str) {
        let chosen = sqlx::query("update person set locale = $1 where email = $2").bind(locale).bind(EMAIL);
        chosen.execute(&self.farebox.pool).await.expect("chosen");
    }

    /// The path that the server printed for the first operator.
    pub fn claim(&self) -> String {
        let log = self.farebox.log();
        let line = log.lines().find(|line| line.contains("/operator/claim?token=")).expect("a printed link");
        line[line.find("/operator").expect("a path")..].trim().to_owned()
    }

    pub async fn key(&self, name: &str) -> String {
        let id: uuid::Uuid = sqlx::query_scalar("select id from api_key where name = $1")
            .bind(name)
            .fetch_one(&self.farebox.pool)
            .await
            .expect("such a key");
        farebox::base::ids::KeyId(id).to_string()
    }
}

async fn buy(ada: &mut Visitor<'_>, amount: &str, outcome: &str) {
    let page = ada.get("/credits").await.body;
    let mut fields = form(&page, "/credits/topups");
    fields.retain(|(name, _)| name != "amount");
    fields.push(("amount".to_owned(), amount.to_owned()));
    let (token, fields) = split(&fields);
    let Page { location, body, .. } = ada.post(token, "/credits/topups", &fields).await;
    assert!(location.starts_with("/sandbox/checkout/"), "{body}");
    if !outcome.is_empty() {
        ada.submit(&location, &location, &[("outcome", outcome)]).await;
    }
}

fn split(fields: &[(String, String)]) -> (&str, Vec<(&str, &str)>) {
    let token = fields.iter().find(|(name, _)| name == "csrf_token").map_or("", |(_, value)| value.as_str());
    let rest = fields.iter().filter(|(name, _)| name != "csrf_token");
    (token, rest.map(|(name, value)| (name.as_str(), value.as_str())).collect())
}

/// Payments in every state. The last three states have no page to click yet, so their rows are written.
async fn payments(farebox: &Farebox, ada: &mut Visitor<'_>) {
    for (amount, outcome) in [
        ("20", "paid"),
        ("15", "paid"),
        ("40", "paid"),
        ("10", "paid"),
        ("25", "declined"),
        ("1000", ""),
        ("100", "paid"),
    ] {
        buy(ada, amount, outcome).await;
    }
    settled(farebox, "select count(*) from processor_event where applied_at is null").await;
    for (credits, state) in [("20", "expired"), ("15", "refunded"), ("40", "disputed")] {
        sqlx::query("update topup set state = $2 where credits = $1::numeric")
            .bind(credits)
            .bind(state)
            .execute(&farebox.pool)
            .await
            .expect("a payment");
    }
    sqlx::query("update topup set paid_at = null where state = 'expired'")
        .execute(&farebox.pool)
        .await
        .expect("unpaid");
    buy(ada, "12.50", "").await;
}

async fn settled(farebox: &Farebox, open: &'static str) {
    for _ in 0..300 {
        let open: i64 = sqlx::query_scalar(open).fetch_one(&farebox.pool).await.expect("a count");
        if open == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("this stays above zero: {open}\n{}", farebox.log());
}

async fn keys_and_calls(farebox: &Farebox) {
    let key = |name: &'static str, more: &'static [&'static str]| {
        let more: Vec<&str> = ["--name", name].into_iter().chain(more.iter().copied()).collect();
        async move { farebox.key(EMAIL, "", &more).await }
    };
    let laptop = key("Laptop", &[]).await;
    let blog = key("Blog plugin", &["--limit", "0.20"]).await;
    let nightly = key("Nightly report", &["--limit-daily", "0.10"]).await;
    let demo = key("Conference demo", &["--limit", "5", "--expires", "2027-06-01T00:00:00Z"]).await;
    let phone = key("Old phone", &[]).await;
    key(LONG_NAME, &["--limit-monthly", "2500"]).await;
    // More than the limits admit, so that one call is refused.
    pennies(farebox, &blog, 17).await;
    pennies(farebox, &nightly, 11).await;
    calls(farebox, &laptop, &demo).await;
    farebox.holds_are_closed().await;
    settled(farebox, "select 60 - least(60, count(*)) from usage").await;
    for (key, change) in [
        (&phone, "update api_key set disabled_at = now() where id = $1"),
        (&demo, "update api_key set expires_at = now() - interval '2 days' where id = $1"),
    ] {
        let id: farebox::base::ids::KeyId = key.id.parse().expect("an id");
        sqlx::query(change).bind(id.0).execute(&farebox.pool).await.expect("a key");
    }
}

async fn pennies(farebox: &Farebox, key: &Key, times: usize) {
    for _ in 0..times {
        farebox.chat(key, "sandbox/penny", "How much is this?", json!({})).await;
    }
}

/// Calls that end in every way, of several models and apps.
async fn calls(farebox: &Farebox, laptop: &Key, demo: &Key) {
    let long = "the quick brown fox jumps over the lazy dog ".repeat(40);
    for round in 1..=10 {
        let text = long.split_whitespace().take(round * 30).collect::<Vec<_>>().join(" ");
        farebox.chat(laptop, "sandbox/echo", &text, json!({})).await;
        farebox.chat(demo, "sandbox/free", &text, json!({})).await;
        if round % 2 == 0 {
            farebox.chat(laptop, "lab/steady", "Is anybody there?", json!({ "max_tokens": 400 })).await;
        }
        if round % 4 == 0 {
            let answer = farebox.chat(laptop, "sandbox/slow", "Take your time", json!({ "stream": true })).await;
            answer.text().await.expect("a stream");
        }
    }
    farebox.chat(laptop, "lab/broken", "Is anybody there?", json!({})).await;
    farebox.chat(laptop, "sandbox/nothing", "No such model", json!({})).await;
    let app = |name: &str, text: &str| {
        let body = json!({ "model": "sandbox/echo", "messages": [{ "role": "user", "content": text }] });
        let request = farebox.http.post(farebox.url("/api/v1/chat/completions")).bearer_auth(&laptop.text).json(&body);
        request.header("x-title", name).header("http-referer", "https://chat.example.com").send()
    };
    for name in ["LobeChat", "Open WebUI", "LobeChat", "AI Engine"] {
        app(name, &long).await.expect("an answer");
    }
}

/// A month of calls before today, for charts and long lists only: these rows have no books.
async fn history(farebox: &Farebox) {
    sqlx::raw_sql(include_str!("history.sql")).execute(&farebox.pool).await.expect("a history");
}
