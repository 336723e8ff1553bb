//! Lists of models, and how endpoints do.

use serde_json::{Value, json};

use super::laboratory;
use crate::support::Farebox;
use crate::support::fake_upstream::{Behaviour, FakeUpstream};
use crate::support::routes::Routes;

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().expect("a list").iter().filter_map(|model| model["id"].as_str()).collect()
}

async fn list(farebox: &Farebox, path: &str) -> Value {
    let answer = farebox.http.get(farebox.url(path)).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_are_found_by_what_they_take_give_and_cost() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    let found = |query: &'static str| {
        let farebox = &farebox;
        async move {
            let list = list(farebox, &format!("/api/v1/models{query}")).await;
            let mut found: Vec<String> =
                ids(&list).into_iter().filter(|id| id.starts_with("lab/")).map(str::to_owned).collect();
            found.sort();
            found
        }
    };
    assert_eq!(found("").await, ["lab/claude", "lab/media", "lab/text"], "only what writes, unless asked");
    assert_eq!(found("?output_modalities=all").await.len(), 5);
    assert_eq!(found("?output_modalities=embeddings,rerank").await, ["lab/ranks", "lab/vectors"]);
    assert_eq!(found("?input_modalities=image").await, ["lab/claude", "lab/media"]);
    assert_eq!(found("?input_modalities=image,audio").await, ["lab/media"]);
    assert_eq!(found("?model_authors=lab&providers=claude").await, ["lab/claude"]);
    assert_eq!(found("?model_authors=sandbox").await.len(), 0);
    assert_eq!(found("?context=32001").await.len(), 0);
    assert_eq!(found("?context=32000&max_price=1").await.len(), 3);
    assert_eq!(found("?min_price=1.01").await.len(), 0);
    assert_eq!(found("?zdr=true").await.len(), 3, "its providers keep nothing");
    assert_eq!(found("?q=CLAUDE&supported_parameters=tools").await, ["lab/claude"]);
    let cheap = list(&farebox, "/api/v1/models?sort=pricing-low-to-high").await;
    assert_eq!(ids(&cheap).first(), Some(&"sandbox/free"), "{cheap}");
    let page = list(&farebox, "/api/v1/models?model_authors=lab&output_modalities=all&limit=2").await;
    assert_eq!((ids(&page).len(), &page["total_count"]), (2, &json!(5)));
    let next = page["links"]["next"].as_str().expect("a next page");
    assert_eq!(ids(&list(&farebox, next).await).len(), 2, "{next}");
    let embeddings = list(&farebox, "/api/v1/embeddings/models").await;
    assert_eq!(ids(&embeddings), ["sandbox/embed", "lab/vectors"]);
    let count = list(&farebox, "/api/v1/models/count").await;
    assert_eq!(count["data"]["count"], list(&farebox, "/api/v1/models").await["total_count"]);
    for bad in ["?limit=0", "?context=0", "?min_price=-1", "?max_price=NaN", "?context=many"] {
        let answer = farebox.http.get(farebox.url(&format!("/api/v1/models{bad}"))).send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{bad}");
    }
    let zdr = list(&farebox, "/api/v1/endpoints/zdr").await;
    let tags: Vec<_> = zdr["data"].as_array().expect("a list").iter().map(|one| one["tag"].as_str()).collect();
    assert!(tags.contains(&Some("claude")) && tags.contains(&Some("sandbox")), "{zdr}");
    let own = farebox.get(&key, "/api/v1/models/user").await;
    assert_eq!(ids(&own).len(), ids(&list(&farebox, "/api/v1/models").await).len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_models_of_a_key_are_those_that_somebody_may_answer_for_it() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let user = || async {
        let list = routes.farebox.get(&routes.key, "/api/v1/models/user").await;
        ids(&list).into_iter().filter(|id| id.starts_with("lab/")).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut all = user().await;
    all.sort();
    assert_eq!(all, ["lab/chat", "lab/other"]);
    // Only beta has the other one.
    routes.set(&mut ada, &[("ignored", "beta")]).await;
    for _ in 0..100 {
        if user().await == ["lab/chat"] {
            let nobody = routes.farebox.http.get(routes.farebox.url("/api/v1/models/user")).send().await;
            assert_eq!(nobody.expect("an answer").status(), 401);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the organization's rule is not heard of");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_tell_the_uptime_and_speed_seen_here() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    let place = "/api/v1/models/lab/text/endpoints";
    let before = list(&farebox, place).await;
    assert!(before["data"]["endpoints"][0]["uptime_last_30m"].is_null(), "nothing was seen yet: {before}");
    for _ in 0..3 {
        let answer = farebox.chat(&key, "lab/text", "hi", json!({ "stream": true })).await;
        answer.text().await.expect("a body");
    }
    upstream.behave("text", Behaviour::Status { status: 500, retry_after: None });
    assert_eq!(farebox.chat(&key, "lab/text", "hi", json!({})).await.status(), 502);
    let after = list(&farebox, place).await;
    let endpoint = &after["data"]["endpoints"][0];
    for window in ["uptime_last_5m", "uptime_last_30m", "uptime_last_1d"] {
        assert_eq!(endpoint[window], 75.0, "{endpoint}");
    }
    for speed in ["latency_last_30m", "throughput_last_30m"] {
        assert!(endpoint[speed]["p50"].is_number() && endpoint[speed]["p99"].is_number(), "{endpoint}");
    }
}
