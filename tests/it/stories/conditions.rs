//! Conditions of a call that hang on more than a price of its tokens: every highest price, what is free, what was measured,
//! and who answered the conversation before. Each off and on, seen at the providers.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::presets::make;
use crate::support::fake_upstream::{Behaviour, FakeUpstream};
use crate::support::routes::Routes;

/// Model, provider and price.
type Offer = (&'static str, &'static str, &'static str);

/// Each of five is dearer than the others in one thing alone.
const PRICED: [Offer; 6] = [
    (
        "lab/priced",
        "plain",
        "prompt = \"1\", completion = \"2\", request = \"0.001\", image = \"0.001\", audio = \"4\"",
    ),
    (
        "lab/priced",
        "prompt",
        "prompt = \"10\", completion = \"2\", request = \"0.001\", image = \"0.001\", audio = \"4\"",
    ),
    (
        "lab/priced",
        "completion",
        "prompt = \"1\", completion = \"20\", request = \"0.001\", image = \"0.001\", audio = \"4\"",
    ),
    (
        "lab/priced",
        "request",
        "prompt = \"1\", completion = \"2\", request = \"0.01\", image = \"0.001\", audio = \"4\"",
    ),
    ("lab/priced", "image", "prompt = \"1\", completion = \"2\", request = \"0.001\", image = \"0.01\", audio = \"4\""),
    (
        "lab/priced",
        "audio",
        "prompt = \"1\", completion = \"2\", request = \"0.001\", image = \"0.001\", audio = \"40\"",
    ),
];
const OTHERS: [Offer; 13] = [
    ("lab/knows", "plain", "prompt = \"1\", completion = \"2\""),
    ("lab/song", "plain", "prompt = \"0\", completion = \"0\", audio = \"40\""),
    ("lab/hears", "plain", "prompt = \"3\", completion = \"2\""),
    ("lab/gift", "plain", "prompt = \"1\", completion = \"2\""),
    ("lab/gift", "gift", "prompt = \"0\", completion = \"0\""),
    ("lab/race", "slow", "prompt = \"1\", completion = \"2\""),
    ("lab/race", "quick", "prompt = \"4\", completion = \"8\""),
    ("lab/cached", "plain", "prompt = \"1\", completion = \"2\", cache_read = \"0.1\""),
    ("lab/cached", "slow", "prompt = \"1\", completion = \"2\", cache_read = \"0.1\""),
    ("lab/cached", "quick", "prompt = \"1\", completion = \"2\", cache_read = \"0.1\""),
    ("lab/forgets", "plain", "prompt = \"1\", completion = \"2\""),
    ("lab/forgets", "slow", "prompt = \"1\", completion = \"2\""),
    ("lab/forgets", "quick", "prompt = \"1\", completion = \"2\""),
];

/// What a preset can set besides the length, as its editor takes it.
const PARAMETERS: [(&str, &str); 7] = [
    ("temperature", "0.25"),
    ("top_p", "0.5"),
    ("top_k", "7"),
    ("frequency_penalty", "0.75"),
    ("presence_penalty", "-0.5"),
    ("repetition_penalty", "1.25"),
    ("seed", "11"),
];

fn catalog(upstream: &FakeUpstream) -> String {
    let (mut text, offers) = (String::new(), || PRICED.into_iter().chain(OTHERS));
    for slug in offers().map(|(_, provider, _)| provider).collect::<BTreeSet<_>>() {
        let _ = write!(
            text,
            "[[providers]]\nslug = \"{slug}\"\nname = \"Lab {slug}\"\nkind = \"openai\"\nbase_url = \"{}\"\n\
             cancel_stops_billing = true\ntrains_on_inputs = false\nretains_logs = false\n\n",
            upstream.base_url(),
        );
    }
    for model in offers().map(|(model, ..)| model).collect::<BTreeSet<_>>() {
        let inputs = if matches!(model, "lab/priced" | "lab/hears" | "lab/song") {
            r#""text", "image", "audio""#
        } else {
            r#""text""#
        };
        let _ = write!(
            text,
            "[[models]]\nid = \"{model}\"\nname = \"{model}\"\ndescription = \"A model of the tests.\"\n\
             created = 1767225600\ncontext_length = 32000\nmax_output = 4096\ninput_modalities = [{inputs}]\n\
             output_modalities = [\"text\"]\ntokenizer = \"Other\"\nsupported_parameters = [\"max_tokens\"]\n\n"
        );
    }
    for (model, provider, price) in offers() {
        let more = if model == "lab/knows" {
            format!(", {}", PARAMETERS.map(|(name, _)| format!("{name:?}")).join(", "))
        } else {
            String::new()
        };
        let _ = write!(
            text,
            "[[endpoints]]\nmodel = \"{model}\"\nprovider = \"{provider}\"\nupstream_model = \"{provider}-{}\"\n\
             context_length = 32000\nmax_output = 4096\nsupported_parameters = [\"max_tokens\"{more}]\nprice = {{ {price} }}\n\n",
            model.trim_start_matches("lab/"),
        );
    }
    text
}

fn with(model: &str, provider: Value) -> Value {
    json!({ "model": model, "provider": provider })
}

/// Who is asked first.
async fn first(routes: &Routes, body: Value) -> String {
    let (status, asked) = routes.call(body.clone()).await;
    assert_eq!(status, 200, "{body}");
    asked.into_iter().next().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_highest_price_is_obeyed() {
    let routes = Routes::having(catalog).await;
    for (of, most, its) in [
        ("prompt", "1", "10"),
        ("completion", "2", "20"),
        ("request", "0.001", "0.01"),
        ("image", "0.001", "0.01"),
        ("audio", "4", "40"),
    ] {
        let dear = format!("{of}-priced");
        let number = |text: &str| serde_json::from_str::<Value>(text).expect("a number");
        assert_eq!(first(&routes, with("lab/priced", json!({ "order": [of] }))).await, dear, "off");
        for allowed in [number(its), json!(its)] {
            let body = with("lab/priced", json!({ "order": [of], "max_price": { of: allowed } }));
            assert_eq!(first(&routes, body).await, dear, "{of}: its own price is within");
        }
        for limit in [number(most), json!(most)] {
            let body = with("lab/priced", json!({ "order": [of], "max_price": { of: limit.clone() } }));
            assert_ne!(first(&routes, body).await, dear, "{of} of at most {limit}");
            let only = with("lab/priced", json!({ "only": [of], "max_price": { of: limit } }));
            let (status, asked, told) = routes.told(&routes.key, only).await;
            assert_eq!((status, asked.len()), (404, 0), "{of}: {told}");
            let why = "it costs more than the highest price wanted";
            assert_eq!(told["error"]["metadata"]["left_out"][of], why, "{told}");
        }
    }
    // Sound without a price of its own costs what text costs, where it can be sent; elsewhere it costs nothing.
    assert_eq!(routes.call(with("lab/hears", json!({ "max_price": { "audio": 2 } }))).await.0, 404);
    assert_eq!(first(&routes, with("lab/hears", json!({ "max_price": { "audio": 3 } }))).await, "plain-hears");
    assert_eq!(
        first(&routes, with("lab/gift", json!({ "only": ["plain"], "max_price": { "audio": 0 } }))).await,
        "plain-gift"
    );
    // What could not be obeyed is said, and nobody is asked.
    for (provider, said) in [
        (json!({ "max_price": { "video": 1 } }), "prompt, completion, request, image, audio"),
        (json!({ "max_price": { "audio": "much" } }), "provider.max_price.audio"),
        (json!({ "enforce_distillable_text": true }), "does not know which models allow it"),
        (json!({ "options": { "plain": { "x": 1 } } }), "into the request itself"),
        (json!({ "preferred_max_latency": { "p95": 1 } }), "p50, p75, p90 and p99"),
    ] {
        let (status, asked, told) = routes.told(&routes.key, with("lab/priced", provider)).await;
        assert_eq!((status, asked.len()), (400, 0), "{told}");
        assert!(told["error"]["message"].as_str().is_some_and(|text| text.contains(said)), "{told}");
    }
    for nothing in
        [json!({ "enforce_distillable_text": false, "options": {} }), json!({ "max_price": { "audio": null } })]
    {
        assert_eq!(routes.call(with("lab/priced", nothing)).await.0, 200);
    }
    routes.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_free_is_asked_alone_and_costs_nothing() {
    let routes = Routes::having(catalog).await;
    assert_eq!(first(&routes, with("lab/gift", json!({ "order": ["plain"] }))).await, "plain-gift", "off");
    for order in [json!({}), json!({ "order": ["plain"] })] {
        let (status, asked, told) = routes.told(&routes.key, with("lab/gift:free", order)).await;
        assert_eq!((status, asked), (200, vec!["gift-gift".to_owned()]), "{told}");
        assert_eq!(told["usage"]["cost"].to_string(), "0", "{told}");
    }
    let (status, _, told) = routes.told(&routes.key, with("lab/gift:free", json!({ "only": ["plain"] }))).await;
    assert_eq!((status, &told["error"]["metadata"]["left_out"]["plain"]), (404, &json!("it is not free")), "{told}");
    // Where sound costs something, nothing is free.
    assert_eq!(routes.call(json!({ "model": "lab/song:free" })).await, (404, Vec::new()));
    let farebox = &routes.farebox;
    let model = async |name: &str| {
        let answer = farebox.http.get(farebox.url(&format!("/api/v1/model/{name}"))).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    let (status, told) = model("lab/gift:free").await;
    let data = &told["data"];
    assert_eq!(
        (status, &data["id"], &data["pricing"]["prompt"]),
        (200, &json!("lab/gift:free"), &json!("0")),
        "{told}"
    );
    let (status, told) = model("lab/race:floor").await;
    assert_eq!(
        (status, &told["data"]["id"], &told["data"]["pricing"]["prompt"]),
        (200, &json!("lab/race"), &json!("0.000001"))
    );
    assert_eq!(model("lab/race:free").await.0, 404);
    assert_eq!(model("lab/nothing").await.0, 404);
    let own = farebox.get(&routes.key, "/api/v1/model/lab/race").await;
    assert_eq!(own["data"]["id"], "lab/race", "{own}");
    let mut ada = routes.ada();
    routes.set(&mut ada, &[("allowed", "gift"), ("enforced", "yes")]).await;
    for _ in 0..100 {
        if farebox.get(&routes.key, "/api/v1/model/lab/race").await["error"]["code"] == 404 {
            farebox.books_are_clean().await;
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("a key is shown a model that nobody may answer for it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measured_speed_decides_where_a_call_asks_for_it() {
    let routes = Routes::having(catalog).await;
    routes.upstream.behave("slow-race", Behaviour::Slow { chunks: 3, ms_per_chunk: 1_000 });
    routes.upstream.behave("quick-race", Behaviour::Slow { chunks: 20, ms_per_chunk: 1 });
    let streamed = |provider: Value| json!({ "model": "lab/race", "stream": true, "provider": provider });
    // Nothing was measured, so nobody is slow.
    let cheap = |more: Value| {
        let mut provider = json!({ "sort": "price", "allow_fallbacks": true });
        provider.as_object_mut().expect("fields").extend(more.as_object().cloned().unwrap_or_default());
        streamed(provider)
    };
    assert_eq!(first(&routes, cheap(json!({ "preferred_max_latency": 0.8 }))).await, "slow-race");
    assert_eq!(first(&routes, streamed(json!({ "order": ["quick"] }))).await, "quick-race");

    assert_eq!(first(&routes, json!({ "model": "lab/race:floor" })).await, "slow-race");
    assert_eq!(first(&routes, json!({ "model": "lab/race:nitro", "stream": true })).await, "quick-race");
    for sort in ["throughput", "latency", "exacto"] {
        assert_eq!(first(&routes, streamed(json!({ "sort": sort }))).await, "quick-race", "{sort}");
    }
    for (wish, asked) in [
        (json!({}), "slow-race"),
        (json!({ "preferred_max_latency": 0.8 }), "quick-race"),
        (json!({ "preferred_max_latency": 9 }), "slow-race"),
        (json!({ "preferred_max_latency": { "p90": 0.8 } }), "quick-race"),
        (json!({ "preferred_min_throughput": 8 }), "quick-race"),
        (json!({ "preferred_min_throughput": 0.5 }), "slow-race"),
        (json!({ "preferred_min_throughput": { "p99": 8 } }), "quick-race"),
        (
            json!({ "preferred_min_throughput": { "p50": 0.5, "p90": 0.5 }, "preferred_max_latency": { "p99": 9 } }),
            "slow-race",
        ),
    ] {
        assert_eq!(first(&routes, cheap(wish.clone())).await, asked, "{wish}");
    }
    // Most of its answers are quick, not nine of ten.
    for _ in 0..4 {
        routes.upstream.behave_once("quick-race", Behaviour::Slow { chunks: 3, ms_per_chunk: 1_000 });
        assert_eq!(first(&routes, streamed(json!({ "order": ["quick"] }))).await, "quick-race");
    }
    for (wish, asked) in [
        (json!({ "preferred_max_latency": 0.8 }), "quick-race"),
        (json!({ "preferred_max_latency": { "p50": 0.8 } }), "quick-race"),
        (json!({ "preferred_max_latency": { "p90": 0.8 } }), "slow-race"),
    ] {
        assert_eq!(first(&routes, cheap(wish.clone())).await, asked, "{wish}");
    }
    routes.farebox.books_are_clean().await;
}

/// Who is asked for calls that say different things.
async fn asked_for(routes: &Routes, calls: usize, more: &Value) -> BTreeSet<String> {
    let mut asked = BTreeSet::new();
    for n in 0..calls {
        let mut body = json!({ "messages": [{ "role": "user", "content": format!("{more} {n}") }] });
        body.as_object_mut().expect("fields").extend(more.as_object().cloned().unwrap_or_default());
        asked.insert(first(routes, body).await);
    }
    asked
}

/// Three equal ones: by chance all of twenty calls go to one of them less than once in a billion times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_goes_on_where_it_is_in_a_cache() {
    let routes = Routes::having(catalog).await;
    assert!(asked_for(&routes, 20, &json!({ "model": "lab/cached" })).await.len() > 1, "off");
    let named = json!({ "model": "lab/cached", "session_id": "one" });
    assert_eq!(asked_for(&routes, 20, &named).await.len(), 1, "by the name of the session");
    let mut seen = BTreeSet::new();
    for n in 0..20 {
        let other = json!({ "model": "lab/cached", "session_id": format!("other {n}") });
        seen.extend(asked_for(&routes, 1, &other).await);
    }
    assert!(seen.len() > 1, "each session for itself");
    // By how it began, without a name.
    let same = json!({ "model": "lab/cached", "messages": [{ "role": "user", "content": "Once upon a time" }] });
    let mut asked = BTreeSet::new();
    for _ in 0..20 {
        asked.insert(first(&routes, same.clone()).await);
    }
    assert_eq!(asked.len(), 1);
    // By the header, as some clients send it; what the body says counts before it.
    let by_header = async |session: Option<&str>| {
        let mut asked = BTreeSet::new();
        for n in 0..20 {
            let mut body =
                json!({ "model": "lab/cached", "messages": [{ "role": "user", "content": format!("header {n}") }] });
            if let Some(session) = session {
                body["session_id"] = format!("{session} {n}").into();
            }
            routes.upstream.forget();
            let request = routes.farebox.http.post(routes.farebox.url("/api/v1/chat/completions"));
            let request = request.bearer_auth(&routes.key.text).header("x-session-id", "by header").json(&body);
            assert_eq!(request.send().await.expect("an answer").status(), 200);
            asked.extend(routes.upstream.produced().into_iter().map(|one| one.model));
        }
        asked.len()
    };
    assert_eq!(by_header(None).await, 1);
    assert!(by_header(Some("in the body")).await > 1);
    // Where nothing is cheaper the second time, nobody is gone back to.
    let forgets = json!({ "model": "lab/forgets", "session_id": "one" });
    assert!(asked_for(&routes, 20, &forgets).await.len() > 1);
    let (status, _, told) =
        routes.told(&routes.key, json!({ "model": "lab/cached", "session_id": "x".repeat(257) })).await;
    assert_eq!(status, 400, "{told}");
    routes.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_parameter_of_a_preset_is_sent_or_not() {
    let routes = Routes::having(catalog).await;
    let mut ada = routes.ada();
    let fields: Vec<_> = PARAMETERS.into_iter().chain([("models", "lab/knows"), ("max_tokens", "40")]).collect();
    make(&mut ada, "All", &fields).await;
    for (name, value) in PARAMETERS {
        make(
            &mut ada,
            &format!("One {name}"),
            &[("models", "lab/knows"), (name, value), ("slug", &name.replace('_', "-"))],
        )
        .await;
    }
    make(&mut ada, "None", &[("models", "lab/knows")]).await;
    let sent = async |preset: &str| {
        routes.until_asked(&json!({ "preset": preset }), &["plain-knows"]).await;
        routes.sent()
    };
    let all = sent("all").await;
    for (name, value) in PARAMETERS.into_iter().chain([("max_tokens", "40")]) {
        assert_eq!(all[name].to_string(), value, "{all}");
    }
    for (name, value) in PARAMETERS {
        let one = sent(&name.replace('_', "-")).await;
        assert_eq!(one[name].to_string(), value, "{one}");
        let others = PARAMETERS.iter().filter(|(other, _)| *other != name);
        assert!(others.clone().all(|(other, _)| one.get(*other).is_none()), "{name} alone: {one}");
    }
    let none = sent("none").await;
    assert!(PARAMETERS.iter().all(|(name, _)| none.get(*name).is_none()) && none.get("max_tokens").is_none(), "{none}");
    routes.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_condition_of_a_preset_changes_who_is_asked() {
    let routes = Routes::having(catalog).await;
    let mut ada = routes.ada();
    for (name, on, with, off, without) in [
        ("Only", vec![("only", "gamma")], vec!["gamma-chat"], vec![("sort", "price")], vec!["alpha-chat"]),
        (
            "Ignore",
            vec![("ignore", "alpha"), ("sort", "price")],
            vec!["beta-chat"],
            vec![("sort", "price")],
            vec!["alpha-chat"],
        ),
        ("Order", vec![("order", "gamma")], vec!["gamma-chat"], vec![("sort", "price")], vec!["alpha-chat"]),
        (
            "Deny",
            vec![("order", "gamma"), ("sort", "price"), ("data_collection", "deny")],
            vec!["alpha-chat"],
            vec![("order", "gamma"), ("sort", "price"), ("data_collection", "allow")],
            vec!["gamma-chat"],
        ),
        (
            "Parameters",
            vec![("sort", "price"), ("top_k", "3"), ("require_parameters", "yes")],
            vec!["beta-chat"],
            vec![("sort", "price"), ("top_k", "3"), ("require_parameters", "no")],
            vec!["alpha-chat"],
        ),
        (
            "Prices",
            vec![
                ("order", "gamma"),
                ("sort", "price"),
                ("more", r#"{ "provider": { "max_price": { "prompt": 2 } } }"#),
            ],
            vec!["alpha-chat"],
            vec![("order", "gamma"), ("sort", "price")],
            vec!["gamma-chat"],
        ),
        (
            "Fallbacks",
            vec![("order", "alpha"), ("order", "beta"), ("allow_fallbacks", "no")],
            vec!["alpha-chat"],
            vec![("order", "alpha"), ("order", "beta"), ("allow_fallbacks", "yes")],
            vec!["alpha-chat", "beta-chat"],
        ),
    ] {
        for (switch, mut fields, asked) in [("on", on, with), ("off", off, without)] {
            fields.push(("models", "lab/chat"));
            make(&mut ada, &format!("{name} {switch}"), &fields).await;
            let slug = format!("{}-{switch}", name.to_lowercase());
            if name == "Fallbacks" {
                routes.fails("alpha-chat");
            }
            routes.until_asked(&json!({ "preset": slug }), &asked).await;
            routes.works("alpha-chat");
        }
    }
    routes.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fallbacks_of_a_message_are_models_to_fall_back_on() {
    let routes = Routes::start().await;
    for one in ["alpha-chat", "beta-chat", "gamma-chat"] {
        routes.fails(one);
    }
    let ask = async |more: Value| {
        let mut body =
            json!({ "model": "lab/chat", "max_tokens": 20, "messages": [{ "role": "user", "content": "Hi" }] });
        body.as_object_mut().expect("fields").extend(more.as_object().cloned().unwrap_or_default());
        routes.upstream.forget();
        let status = routes.farebox.post(&routes.key, "/api/v1/messages", &body).await.status().as_u16();
        (status, routes.upstream.produced().pop().map(|one| one.model).unwrap_or_default())
    };
    let (status, last) = ask(json!({})).await;
    assert!(status == 502 && last.ends_with("-chat"), "off: {status} {last}");
    for on in [json!({ "fallbacks": [{ "model": "lab/other" }] }), json!({ "models": ["lab/other"] })] {
        assert_eq!(ask(on.clone()).await, (200, "beta-other".to_owned()), "{on}");
    }
    let four = vec![json!({ "model": "lab/other" }); 4];
    for wrong in [
        json!({ "fallbacks": [{ "model": "lab/other" }], "models": ["lab/other"] }),
        json!({ "fallbacks": four }),
        json!({ "fallbacks": [{ "name": "lab/other" }] }),
        json!({ "fallbacks": "lab/other" }),
    ] {
        assert_eq!(ask(wrong.clone()).await, (400, String::new()), "{wrong}");
    }
    routes.farebox.books_are_clean().await;
}
