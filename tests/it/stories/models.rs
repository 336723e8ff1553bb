//! The list of models: filters in the address, models beside each other, the default one, and what was measured here.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::fake_upstream::Behaviour;
use crate::support::routes::Routes;
use crate::support::visitor::{Visitor, between};
use crate::support::{Farebox, Options};

/// Longer than a process waits before it writes down what it saw.
const WRITTEN_WITHIN: Duration = Duration::from_secs(20);

/// Ids of the models of a list, in order.
fn listed(page: &str) -> Vec<String> {
    let table = page.split_once("<tbody>").map_or("", |(_, rest)| rest);
    let rows = table.split("data-kind=\"Model\"").skip(1);
    rows.map(|row| between(row, "<code class=\"sub clip-text\" title=\"", "\"")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_live_in_the_address_and_what_was_ticked_stays() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let all = listed(&ada.get("/models").await.body);
    assert!(all.len() > 4 && all.contains(&"lab/chat".to_owned()), "{all:?}");
    for (query, only) in [
        ("q=LAB+chat", vec!["lab/chat"]),
        ("provider=alpha", vec!["lab/chat"]),
        ("provider=beta&sort=name", vec!["lab/chat", "lab/other"]),
        ("price=free", vec!["sandbox/free"]),
        ("provider=beta&price=1", vec!["lab/chat"]),
        ("q=lab&context=128000", vec![]),
        ("q=lab&modality=image", vec![]),
        ("q=lab&price=nonsense&context=x&page=900", vec!["lab/chat", "lab/other"]),
    ] {
        let mut found = listed(&ada.get(&format!("/models?{query}")).await.body);
        found.sort();
        assert_eq!(found, only, "{query}");
    }
    assert!(ada.get("/models?q=nothing+like+this").await.body.contains("No model matches"));
    // What is ticked stays ticked, also where the list does not show it.
    let page = ada.get("/models?q=other&compare=lab/chat&compare=lab/other&compare=no/such").await.body;
    assert_eq!(listed(&page), ["lab/other"]);
    assert!(page.contains("<input type=\"hidden\" name=\"compare\" value=\"lab/chat\">"), "{page}");
    assert!(page.contains("Compare 2"), "{page}");
    // A script gets the clean address of what it asked for with every field.
    let request = routes.farebox.http.get(routes.farebox.url("/models?q=lab&provider=&modality=&price=&sort=name"));
    let cookies: Vec<String> = ada.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let answer =
        request.header("cookie", cookies.join("; ")).header("hx-request", "true").send().await.expect("an answer");
    assert_eq!(answer.headers()["hx-replace-url"], "/models?q=lab&sort=name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prices_are_public_and_what_an_organization_set_is_not() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    ada.submit("/models/lab/chat", "/models/default", &[("model", "lab/chat")]).await;
    let mut guest = Visitor::new(&routes.farebox);
    let list = guest.get("/models?q=lab&sort=name").await;
    assert_eq!((list.status, listed(&list.body)), (200, vec!["lab/chat".to_owned(), "lab/other".to_owned()]));
    assert!(list.body.contains("href=\"/sign-in?next=%2Fmodels%3Fq%3Dlab%26sort%3Dname\""), "{}", list.body);
    let (model, compared) = ("/models/lab/chat", "/models/compare?compare=lab/chat&compare=lab/other");
    for (path, word) in [(model, "Providers and prices"), (compared, "10K tokens in, 1K out")] {
        let page = guest.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.body.contains(word) && page.body.contains("Sign in"), "{path}: {}", page.body);
    }
    // The reference of the API is as public, and no way out of the frame of whoever is signed in.
    let (hers, theirs) = (ada.get("/docs/api").await.body, guest.get("/docs/api").await.body);
    assert!(hers.contains("id=\"org-balance\"") && hers.contains("/api/v1/chat/completions"), "{hers}");
    assert!(!theirs.contains("id=\"org-balance\"") && theirs.contains("/api/v1/chat/completions"), "{theirs}");
    // The same price for everybody, and nobody's default.
    let price = |page: &str| between(page, "data-label=\"Input\">", "<");
    let (hers, theirs) = (ada.get(model).await.body, guest.get(model).await.body);
    assert_eq!(price(&hers), price(&theirs));
    assert!(hers.contains("Default model") && !theirs.contains("Default model") && !theirs.contains("/chat?model="));
    assert_eq!(guest.get("/models/no/such").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_to_four_models_stand_beside_each_other() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    for few in ["", "?compare=lab/chat", "?compare=lab/chat&compare=lab/chat", "?compare=no/such&compare=lab/chat"] {
        assert!(ada.get(&format!("/models/compare{few}")).await.body.contains("Choose two to four models"), "{few}");
    }
    let page = ada.get("/models/compare?compare=no/such&compare=lab/chat").await.body;
    assert!(page.contains("There is no model <code class=\"break\">no/such</code>"), "{page}");
    let page = ada.get("/models/compare?compare=lab/chat&compare=lab/other").await.body;
    // A call of ten thousand tokens in and a thousand out: at 1 and 2 dollars a million, and at 2 and 4.
    for text in ["<strong>$0.012</strong>", "$0.024", "lowest", "Lab alpha, Lab beta, Lab gamma", "no data"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(page.contains("/models/compare?compare=lab%2Fother"), "one can be left out: {page}");
    let five = "compare=lab/chat&compare=lab/other&compare=sandbox/echo&compare=sandbox/free&compare=sandbox/penny";
    let page = ada.get(&format!("/models/compare?{five}")).await.body;
    assert!(page.contains("sandbox/free") && !page.contains("sandbox/penny"), "the first four count");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_made_the_default_from_its_page_and_nothing_else_changes() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    routes.set(&mut ada, &[("sort", "price"), ("ignored", "alpha")]).await;
    let page = ada.get("/models/lab/other").await.body;
    assert!(page.contains("Use as default") && !page.contains("Default model"), "{page}");
    assert_eq!(routes.call(json!({})).await.0, 400);
    let saved = ada.submit("/models/lab/other", "/models/default", &[("model", "lab/other")]).await;
    assert_eq!((saved.status, saved.location.as_str()), (303, "/models/lab/other"), "{}", saved.body);
    routes.until_asked(&json!({}), &["beta-other"]).await;
    let page = ada.get("/models/lab/other").await.body;
    assert!(page.contains("Default model") && !page.contains("Use as default"), "{page}");
    assert!(ada.get("/models?q=lab").await.body.contains("<span class=\"tag\">default</span>"));
    assert!(ada.get("/chat").await.body.contains("data-default=\"lab/other\""));
    // The other settings stand.
    assert_eq!(routes.call(json!({ "model": "lab/chat" })).await.1, ["beta-chat"]);
    assert_eq!(ada.submit("/settings/profile", "/models/default", &[("model", "lab/none")]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sum_that_is_full_keeps_no_other_from_being_written() {
    let routes = Routes::start().await;
    let full =
        "insert into endpoint_hour (endpoint_id, hour, answered, failed, begun, first_token_ms, tokens, writing_ms)
        select id, date_trunc('hour', now(), 'UTC'), 0, 0, 0, 0, 9223372036854775807, 0
        from endpoint where upstream_model = 'alpha-chat'";
    sqlx::query(full).execute(&routes.farebox.pool).await.expect("a row");
    for provider in ["alpha", "beta"] {
        let body = json!({ "model": "lab/chat", "provider": { "order": [provider] } });
        assert_eq!(routes.call(body).await.0, 200, "{provider}");
    }
    let since = Instant::now();
    let sums = "select coalesce(sum(answered), 0)::text || '+' || count(*)::text from endpoint_hour";
    while routes.farebox.text(sums).await != "2+2" {
        assert!(since.elapsed() < WRITTEN_WITHIN, "{}\n{}", routes.farebox.text(sums).await, routes.farebox.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(routes.ada().get("/models/lab/chat").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_shows_what_all_of_them_measured() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let page = ada.get("/models/lab/chat").await.body;
    assert!(page.contains("nothing was measured") && !page.contains("0%"), "{page}");
    let url = routes.farebox.database_url.clone();
    let other = Farebox::with(Options { database_url: Some(url), ..Options::default() }).await;
    // Three answers at one node; at the other one a failure, and the answer of the next provider.
    routes.upstream.behave("alpha-chat", Behaviour::Slow { chunks: 5, ms_per_chunk: 20 });
    for _ in 0..3 {
        let body = json!({ "stream": true, "provider": { "order": ["alpha"] } });
        let answer = routes.farebox.chat(&routes.key, "lab/chat", "hi", body).await;
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("a stream");
    }
    routes.fails("alpha-chat");
    let body = json!({ "provider": { "order": ["alpha", "beta"] } });
    assert_eq!(other.chat(&routes.key, "lab/chat", "hi", body).await.status(), 200);
    let since = Instant::now();
    let sums = "select coalesce(sum(answered), 0)::text || '+' || coalesce(sum(failed), 0)::text from endpoint_hour";
    while routes.farebox.text(sums).await != "4+1" {
        assert!(since.elapsed() < WRITTEN_WITHIN, "{}\n{}", routes.farebox.text(sums).await, routes.farebox.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut there = Visitor::with_cookies(&other, ada.cookies());
    let (one, two) = (ada.get("/models/lab/chat").await.body, there.get("/models/lab/chat").await.body);
    let table = |page: &str| between(page, "<tbody>", "</tbody>");
    assert_eq!(table(&one), table(&two), "both nodes show the same");
    let shown = table(&one);
    // Alpha: three of four tries. Beta: one of one. Gamma was not asked, which is not zero.
    let alpha = shown.split("</tr>").find(|row| row.contains("Lab alpha")).expect("alpha");
    assert!(alpha.contains("title=\"of 4 tries\">75%<") && alpha.contains("tok/s") && alpha.contains(" ms"), "{alpha}");
    let beta = shown.split("</tr>").find(|row| row.contains("Lab beta")).expect("beta");
    assert!(beta.contains("title=\"of one try\">100%<"), "{beta}");
    let gamma = shown.split("</tr>").find(|row| row.contains("Lab gamma")).expect("gamma");
    assert_eq!(gamma.matches("no data").count(), 4, "{gamma}");
    // The API of both says it too, from the same rows.
    let told = async |farebox: &Farebox| {
        // What a node has just read it may say for a second more.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let list = farebox.get(&routes.key, "/api/v1/models/lab/chat/endpoints").await;
        list["data"]["endpoints"].as_array().expect("a list").clone()
    };
    let (first, second) = (told(&routes.farebox).await, told(&other).await);
    assert_eq!(first, second, "both nodes tell the same");
    for (at, uptime) in [(0, json!(75.0)), (1, json!(100.0)), (2, json!(null))] {
        for window in ["uptime_last_5m", "uptime_last_30m", "uptime_last_1d"] {
            assert_eq!(first[at][window], uptime, "{window} of {}", first[at]["tag"]);
        }
    }
    assert!(first[0]["latency_last_30m"]["p50"].is_number() && first[0]["throughput_last_30m"]["p99"].is_number());
    assert!(first[2]["latency_last_30m"].is_null() && first[2]["throughput_last_30m"].is_null());
    // Who failed is seen in the list and in the comparison, too.
    assert!(ada.get("/models?q=lab&sort=speed").await.body.contains("tok/s"));
    assert!(ada.get("/models/compare?compare=lab/chat&compare=lab/other").await.body.contains("tok/s"));
}
