//! What `/metrics` shows, and that the dashboard and the alerts ask for nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::fake_upstream::{Behaviour, FakeUpstream};
use crate::support::lab::{self, Endpoint, Provider};
use crate::support::{Farebox, Options};

const DASHBOARD: &str = include_str!("../../docs/grafana/farebox.json");
const ALERTS: &str = include_str!("../../docs/grafana/alerts.yml");
const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// Names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    words.filter(|word| word.starts_with("farebox_") && word.len() > 8).map(ToOwned::to_owned).collect()
}

/// Every query of a dashboard, wherever it stands.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "expr" || name == "query" => found.push(text.clone()),
                    value => queries(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

async fn shown(farebox: &Farebox) -> String {
    let answer = farebox.http.get(farebox.url("/metrics")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.text().await.expect("text")
}

/// A series by its name and labels, as it is written.
fn value(shown: &str, series: &str) -> f64 {
    let line = shown.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{shown}")).trim().parse().expect("a number")
}

/// Names of the metrics themselves, and the values of each label.
fn series(shown: &str) -> (BTreeSet<String>, BTreeMap<String, BTreeSet<String>>) {
    let (mut all, mut labels) = (BTreeSet::new(), BTreeMap::<String, BTreeSet<String>>::new());
    for line in shown.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        all.insert(name.to_owned());
        let inside = line.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(inside, _)| inside);
        for pair in inside.split(',').filter(|pair| !pair.is_empty()) {
            let (label, value) = pair.split_once('=').expect("a label");
            labels.entry(label.to_owned()).or_default().insert(value.trim_matches('"').to_owned());
        }
    }
    (all, labels)
}

async fn busy() -> (Farebox, FakeUpstream) {
    let fake = FakeUpstream::start();
    let url = fake.base_url();
    let provider = |slug| Provider { slug, kind: "openai", base_url: &url, cancel_stops_billing: true };
    let endpoint = |provider, upstream_model| Endpoint { model: "lab/model", provider, upstream_model };
    let catalog =
        lab::catalog(&[provider("one"), provider("two")], &[endpoint("one", "broken"), endpoint("two", "model")]);
    fake.behave("broken", Behaviour::Status { status: 500, retry_after: None });
    let farebox = lab::start(&catalog, Options::default()).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    for stream in [true, false] {
        let order = json!({ "stream": stream, "provider": { "order": ["one", "two"] } });
        let answer = farebox.chat(&key, "lab/model", "hi", order).await;
        assert_eq!(answer.status(), 200);
        answer.bytes().await.expect("the answer");
    }
    let penny = farebox.chat(&key, "sandbox/penny", "hi", json!({})).await;
    assert_eq!(penny.status(), 200);
    // What callers write stands in no label.
    for model in ["nobody/nothing-4711", "x/secret-of-a-caller"] {
        assert_eq!(farebox.chat(&key, model, "hi", json!({})).await.status(), 404);
    }
    farebox.holds_are_closed().await;
    (farebox, fake)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_and_the_alerts_name_only_what_is_shown() {
    let (farebox, _fake) = busy().await;
    // The auditor, the keeper and the daily close have each had their first round.
    let mut text = shown(&farebox).await;
    for _ in 0..200 {
        if [
            "farebox_ledger_drift",
            "farebox_usage_stray_calls",
            "farebox_audit_last_anchor",
            "farebox_books_close_findings",
        ]
        .iter()
        .all(|name| text.contains(name))
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        text = shown(&farebox).await;
    }
    let (all, labels) = series(&text);
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("a dashboard");
    let mut asked = Vec::new();
    queries(&dashboard, &mut asked);
    assert!(asked.len() > 40, "{}", asked.len());
    asked.extend(ALERTS.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(ToOwned::to_owned));
    let mut used = BTreeSet::new();
    for query in asked.iter().filter(|query| *query != "prometheus") {
        let found = names(query);
        assert!(!found.is_empty(), "{query} asks for nothing");
        assert_eq!(query.matches('(').count(), query.matches(')').count(), "{query}");
        for name in found {
            assert!(all.contains(&name), "{query}: /metrics shows no {name}\n{text}");
            used.insert(name);
        }
    }
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    // The documentation tells of every one, and of no other.
    let base = |name: &str| {
        ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    let told = names(OPERATIONS);
    for name in all.iter().map(|name| base(name)) {
        assert!(told.contains(&name), "docs/operations.md does not tell of {name}");
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
    // Labels of few values, none of them a caller's.
    let known = ["status", "kind", "provider", "outcome", "pool", "le", "processor", "version"];
    assert!(labels.keys().all(|label| known.contains(&label.as_str())), "{labels:?}");
    assert!(!text.contains("4711") && !text.contains("secret-of-a-caller"), "{text}");
    assert_eq!(labels["provider"], ["one", "sandbox", "two"].map(String::from).into());
    assert_eq!(labels["outcome"], ["error", "ok"].map(String::from).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_what_happened() {
    let (farebox, fake) = busy().await;
    let text = shown(&farebox).await;
    assert!((value(&text, "farebox_calls_total{status=\"success\"}") - 3.0).abs() < 0.5, "{text}");
    let count = |series: &str| value(&text, series);
    for (series, expected) in [
        ("farebox_refused_total{status=\"404\"}", 2.0),
        ("farebox_upstream_attempts_total{provider=\"two\",outcome=\"ok\"}", 2.0),
        ("farebox_upstream_seconds_count{provider=\"two\"}", 2.0),
        ("farebox_first_token_seconds_count{provider=\"two\"}", 1.0),
        ("farebox_call_seconds_count{status=\"success\"}", 3.0),
        ("farebox_settle_seconds_count", 3.0),
        ("farebox_holds_open", 0.0),
        ("farebox_spool_depth", 0.0),
        ("farebox_metrics_failed_total", 0.0),
        ("farebox_pool_limit{pool=\"general\"}", 17.0),
    ] {
        assert!((count(series) - expected).abs() < 0.5, "{series}: {}", count(series));
    }
    let failed = count("farebox_upstream_attempts_total{provider=\"one\",outcome=\"error\"}");
    assert!((1.0..=2.0).contains(&failed), "{failed}");
    let produced: u64 = fake.produced_by("model").iter().map(|one| one.completion_tokens_sent).sum();
    let penny: i64 = sqlx::query_scalar(
        "select coalesce(sum(completion_tokens), 0)::bigint from usage where model = 'sandbox/penny'",
    )
    .fetch_one(&farebox.pool)
    .await
    .expect("a sum");
    let tokens = u32::try_from(produced).expect("few") + u32::try_from(penny).expect("few");
    assert!((count("farebox_tokens_total{kind=\"completion\"}") - f64::from(tokens)).abs() < 0.5);
    let charged = farebox.text("select trunc(sum(cost) * 1000000)::text from usage").await;
    assert!((count("farebox_charged_microusd_total") - charged.parse::<f64>().expect("a number")).abs() < 4.0);
    assert!(count("farebox_memory_bytes") > 1e6 && count("farebox_pool_connections{pool=\"general\"}") >= 1.0);
}
