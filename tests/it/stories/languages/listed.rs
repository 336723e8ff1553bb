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
    assert_eq!((found("?max_output_price=2").await.len(), found("?min_output_price=2.01").await.len()), (3, 0));
    assert_eq!((found("?min_age_days=30").await.len(), found("?max_age_days=30").await.len()), (3, 0));
    assert_eq!(found("?category=&use_rss=false").await.len(), 3, "what is off is off");
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
    let page = list(&farebox, "/api/v1/embeddings/models?limit=1").await;
    let next = page["links"]["next"].as_str().expect("a next page");
    assert!(next.starts_with("/api/v1/embeddings/models?"), "{next}");
    assert_eq!(ids(&list(&farebox, next).await), ["lab/vectors"], "{next}");
    let count = list(&farebox, "/api/v1/models/count").await;
    assert_eq!(count["data"]["count"], list(&farebox, "/api/v1/models").await["total_count"]);
    for bad in [
        "?limit=0",
        "?context=0",
        "?min_price=-1",
        "?max_price=NaN",
        "?context=many",
        "?max_output_price=-1",
        "?min_age_days=100001",
        "?category=programming",
        "?region=eu",
        "?distillable=true",
        "?use_rss=true",
        "?min_coding_index=3",
    ] {
        let answer = farebox.http.get(farebox.url(&format!("/api/v1/models{bad}"))).send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{bad}");
    }
    let zdr = list(&farebox, "/api/v1/endpoints/zdr").await;
    let tags: Vec<_> = zdr["data"].as_array().expect("a list").iter().map(|one| one["tag"].as_str()).collect();
    assert!(tags.contains(&Some("claude")) && tags.contains(&Some("sandbox")), "{zdr}");
    let page = farebox.get(&key, "/api/v1/models/user?limit=1").await;
    assert_eq!(page["links"]["next"], "/api/v1/models/user?limit=1&offset=1");
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
    let listed = routes.farebox.get(&routes.key, "/api/v1/models").await;
    assert!(ids(&listed).contains(&"lab/other"), "{listed}");
    // Only beta has the other one.
    routes.set(&mut ada, &[("ignored", "beta")]).await;
    for _ in 0..100 {
        if user().await == ["lab/chat"] {
            let nobody = routes.farebox.http.get(routes.farebox.url("/api/v1/models/user")).send().await;
            assert_eq!(nobody.expect("an answer").status(), 401);
            // The other lists of the key say the same; those of nobody say what there is.
            let listed = routes.farebox.get(&routes.key, "/api/v1/models").await;
            assert!(!ids(&listed).contains(&"lab/other"), "{listed}");
            let counted = routes.farebox.get(&routes.key, "/api/v1/models/count").await;
            assert_eq!(counted["data"]["count"], listed["total_count"], "{counted}");
            assert!(ids(&list(&routes.farebox, "/api/v1/models").await).contains(&"lab/other"));
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
    // Processes write down what they saw every few seconds.
    let mut endpoint = Value::Null;
    for _ in 0..200 {
        endpoint = list(&farebox, place).await["data"]["endpoints"][0].take();
        if endpoint["uptime_last_1d"] == 75.0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    for window in ["uptime_last_5m", "uptime_last_30m", "uptime_last_1d"] {
        assert_eq!(endpoint[window], 75.0, "{endpoint}");
    }
    for speed in ["latency_last_30m", "throughput_last_30m"] {
        assert!(endpoint[speed]["p50"].is_number() && endpoint[speed]["p99"].is_number(), "{endpoint}");
    }
}

/// A provider where only an own key can call, and one that trains on what it is sent, each with a model of its own.
fn more(upstream: &FakeUpstream) -> String {
    let mut text = crate::support::routes::catalog(upstream);
    text.push_str(&format!(
        "[[providers]]\nslug = \"delta\"\nname = \"Lab delta\"\nkind = \"openai\"\nbase_url = \"{}\"\n\
         key_env = \"LAB_DELTA_API_KEY\"\ncancel_stops_billing = true\ntrains_on_inputs = false\nretains_logs = false\n\n",
        upstream.base_url()
    ));
    for (model, provider) in [("lab/delta", "delta"), ("lab/gamma", "gamma")] {
        text.push_str(&format!(
            "[[models]]\nid = \"{model}\"\nname = \"{model}\"\ndescription = \"A model of the tests.\"\n\
             created = 1767225600\ncontext_length = 32000\nmax_output = 4096\ninput_modalities = [\"text\"]\n\
             output_modalities = [\"text\"]\ntokenizer = \"Other\"\nsupported_parameters = [\"max_tokens\"]\n\n\
             [[endpoints]]\nmodel = \"{model}\"\nprovider = \"{provider}\"\nupstream_model = \"{provider}-own\"\n\
             context_length = 32000\nmax_output = 4096\nsupported_parameters = [\"max_tokens\"]\n\
             price = {{ prompt = \"3\", completion = \"6\" }}\n\n"
        ));
    }
    text
}

/// For each model and each way of setting things: a key's list has the model exactly if a call of that key is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_for_a_key_has_exactly_what_its_calls_reach() {
    let routes = Routes::start().await;
    let farebox = &routes.farebox;
    let mut ada = routes.ada();
    crate::support::lab::apply(&farebox.database_url, &more(&routes.upstream)).await;
    let second = farebox.key(crate::support::routes::EMAIL, "", &[]).await;
    let agrees = async |key: &crate::support::Key, wanted: [bool; 2]| {
        let mut seen = Vec::new();
        for _ in 0..100 {
            seen.clear();
            let lists = [
                farebox.get(key, "/api/v1/models").await,
                farebox.get(key, "/api/v1/models/user").await,
                farebox.get(key, "/api/v1/models?q=lab&sort=throughput-high-to-low").await,
            ];
            for model in ["lab/delta", "lab/gamma"] {
                let listed: Vec<bool> = lists.iter().map(|list| ids(list).contains(&model)).collect();
                let answered = routes.told(key, json!({ "model": model })).await.0 == 200;
                seen.push((listed, answered));
            }
            if seen.iter().zip(wanted).all(|((listed, answered), wanted)| listed == &[wanted; 3] && *answered == wanted)
            {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("not {wanted:?} but {seen:?}");
    };
    let nobody = |wanted: bool| async move {
        let list = list(farebox, "/api/v1/models").await;
        assert_eq!(ids(&list).contains(&"lab/delta"), wanted, "the public list is that of the operator's accounts");
    };
    agrees(&routes.key, [false, true]).await;
    let place = "/settings/integrations/delta";
    let own = "sk-own-0123456789abcdefghijklmnop";
    let connect = async |ada: &mut crate::support::visitor::Visitor<'_>, fields: &[(&str, &str)]| {
        let page = ada.submit(place, place, fields).await;
        assert_eq!(page.status, 303, "{}", page.body);
    };
    connect(&mut ada, &[("api_key", own), ("mode", "first")]).await;
    agrees(&routes.key, [true, true]).await;
    agrees(&second, [true, true]).await;
    nobody(false).await;
    // Where it runs is told to the key, and to nobody else.
    let endpoints = "/api/v1/models/lab/delta/endpoints";
    assert_eq!(farebox.get(&routes.key, endpoints).await["data"]["endpoints"][0]["tag"], "delta");
    assert_eq!(farebox.http.get(farebox.url(endpoints)).send().await.expect("an answer").status(), 404);
    // The pages say the same: the list, the model itself, the chat room.
    let page = ada.get("/models?q=delta").await.body;
    assert!(page.contains("lab/delta") && page.contains("BYOK"), "{page}");
    let page = ada.get("/models/lab/delta").await.body;
    assert!(page.contains("your own key") && page.contains("/chat?model=lab/delta"), "{page}");
    assert!(ada.get("/chat").await.body.contains("value=\"lab/delta\""));
    // For one key only: the other one does not see it, and neither does the chat room.
    connect(&mut ada, &[("mode", "first"), ("key", &second.id)]).await;
    agrees(&second, [true, true]).await;
    agrees(&routes.key, [false, true]).await;
    assert!(!ada.get("/chat").await.body.contains("value=\"lab/delta\""));
    // Privacy: gamma trains on what it is sent.
    let privacy = "/settings/privacy";
    let strict = ada.submit(privacy, privacy, &[("free_training", "yes"), ("keep_days", "30")]).await;
    assert_eq!(strict.status, 303, "{}", strict.body);
    agrees(&routes.key, [false, false]).await;
    let page = ada.get("/models/lab/gamma").await.body;
    assert!(page.contains("Calls to this model are refused") && !page.contains("/chat?model=lab/gamma"), "{page}");
    assert!(!ada.get("/chat").await.body.contains("value=\"lab/gamma\""));
    let usual = [("paid_training", "yes"), ("free_training", "yes"), ("keep_days", "30")];
    assert_eq!(ada.submit(privacy, privacy, &usual).await.status, 303);
    agrees(&routes.key, [false, true]).await;
    // Lists of providers.
    routes.set(&mut ada, &[("allowed", "alpha"), ("enforced", "yes")]).await;
    agrees(&routes.key, [false, false]).await;
    agrees(&second, [false, false]).await;
    routes.set(&mut ada, &[("ignored", "gamma")]).await;
    agrees(&second, [true, false]).await;
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}
