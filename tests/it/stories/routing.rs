//! Conditions of a call on who answers it, each off and on, seen at the providers and in the call's row.

use serde_json::{Value, json};

use crate::support::routes::Routes;
use crate::support::scale;

fn with(provider: Value) -> Value {
    json!({ "model": "lab/chat", "provider": provider })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_condition_changes_who_is_asked() {
    let routes = Routes::start().await;
    let cheap = || json!({ "sort": "price" });
    assert_eq!(routes.call(with(cheap())).await.1, ["alpha-chat"]);
    for (condition, asked) in [
        (json!({ "only": ["gamma"] }), "gamma-chat"),
        (json!({ "ignore": ["alpha"], "sort": "price" }), "beta-chat"),
        (json!({ "quantizations": ["fp8"] }), "gamma-chat"),
        (json!({ "only": ["beta", "gamma/fp8"], "order": ["gamma"] }), "gamma-chat"),
        (json!({ "order": ["beta", "alpha"] }), "beta-chat"),
        (json!({ "sort": "price", "max_price": { "prompt": 1 } }), "alpha-chat"),
        (json!({ "order": ["gamma"], "data_collection": "allow" }), "gamma-chat"),
        (json!({ "order": ["gamma"], "data_collection": "deny", "sort": "price" }), "alpha-chat"),
        (json!({ "order": ["gamma"], "zdr": true, "sort": "price" }), "alpha-chat"),
    ] {
        assert_eq!(routes.call(with(condition.clone())).await, (200, vec![asked.to_owned()]), "{condition}");
    }
    // A hard filter leaves nobody, and says so.
    let (status, asked, told) = routes.told(&routes.key, with(json!({ "max_price": { "prompt": 0.5 } }))).await;
    assert_eq!((status, asked.len()), (404, 0));
    assert_eq!(told["error"]["metadata"]["left_out"]["alpha"], "it costs more than the highest price wanted", "{told}");
    // Parameters: asked without being known, unless they are required.
    let strange = |required: bool| json!({ "model": "lab/chat", "top_k": 5, "provider": { "sort": "price", "require_parameters": required } });
    assert_eq!(routes.call(strange(false)).await.1, ["alpha-chat"]);
    assert_eq!(routes.sent()["top_k"], 5, "what a call asks for itself is passed on");
    assert_eq!(routes.call(strange(true)).await.1, ["beta-chat"]);
    // Variants.
    assert_eq!(routes.call(json!({ "model": "lab/chat:floor" })).await.1, ["alpha-chat"]);
    assert_eq!(routes.call(json!({ "model": "lab/chat:free" })).await.0, 404);
    // Several models, in order or by a sort across them.
    let models = |sort: Value| json!({ "models": ["lab/other", "lab/chat"], "provider": { "sort": sort } });
    assert_eq!(routes.call(models(json!("price"))).await.1, ["beta-other"]);
    assert_eq!(routes.call(models(json!({ "by": "price", "partition": "none" }))).await.1, ["alpha-chat"]);
    routes.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_tried_stands_in_the_row_and_on_the_page() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    routes.fails("alpha-chat");
    let body = with(json!({ "order": ["alpha", "beta"] }));
    let (status, asked, told) = routes.told(&routes.key, body.clone()).await;
    assert_eq!((status, asked), (200, vec!["alpha-chat".to_owned(), "beta-chat".to_owned()]));
    let page = ada.get(&format!("/activity/{}", told["id"].as_str().expect("an id"))).await.body;
    let tried = page.split_once("Providers tried").map_or("", |(_, rest)| rest);
    let (first, second) = (tried.find("alpha").expect("the first"), tried.find("beta").expect("the second"));
    assert!(first < second && tried.contains("500"), "{tried}");
    // For half a minute it is asked last by whoever does not insist.
    assert_eq!(routes.call(with(json!({ "sort": "price" }))).await.1, ["beta-chat"]);
    assert_eq!(routes.call(body).await.1, ["alpha-chat", "beta-chat"], "order is obeyed all the same");
    // Exactly one try.
    let once = with(json!({ "order": ["alpha"], "allow_fallbacks": false }));
    assert_eq!(routes.call(once).await, (502, vec!["alpha-chat".to_owned()]));
    routes.works("alpha-chat");
    let once = with(json!({ "order": ["alpha"], "allow_fallbacks": true }));
    assert_eq!(routes.call(once).await.1, ["alpha-chat"]);
    assert_eq!(routes.call(with(json!({ "sort": "price" }))).await.1, ["alpha-chat"], "it is well again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_is_obeyed_in_every_real_call() {
    let routes = Routes::start().await;
    let orders = [["alpha", "beta", "gamma"], ["gamma", "alpha", "beta"], ["beta", "gamma", "alpha"]];
    for n in 0..scale(45, 10_000) {
        let order = orders[n % orders.len()];
        let (status, asked) = routes.call(with(json!({ "order": order }))).await;
        assert_eq!((status, asked), (200, vec![format!("{}-chat", order[0])]), "call {n}");
    }
}

/// Weights by the inverse square of the price: 16, 4 and 1 of 21.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn balanced_calls_follow_their_weights() {
    let routes = Routes::start().await;
    let calls = scale(210, 10_500_u32);
    let mut first = [0_u32; 3];
    for n in 0..calls {
        let text = format!("conversation {n}");
        let body = json!({ "model": "lab/chat", "messages": [{ "role": "user", "content": text }] });
        let (status, asked) = routes.call(body).await;
        assert_eq!(status, 200);
        let at =
            ["alpha-chat", "beta-chat", "gamma-chat"].iter().position(|one| *one == asked[0]).expect("one of them");
        first[at] += 1;
    }
    for (seen, weight) in first.into_iter().zip([16, 4, 1]) {
        let expected = calls * weight / 21;
        // Two in a hundred of all calls; the small size is too small for that, so it allows for chance (one in a
        // hundred thousand).
        let off = seen.abs_diff(expected);
        assert!(off <= scale(calls * 12 / 100, calls * 2 / 100), "{first:?} of {calls}");
    }
}

/// The sentence of the page of settings, and where a call goes at that moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_happen_is_what_happens() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let plain = json!({ "model": "lab/chat" });
    let others = || with(json!({ "only": ["alpha"] }));
    for (settings, said, first, widened) in [
        (vec![], "Lab alpha is asked first, and Lab beta if it fails.", "alpha-chat", Some("alpha-chat")),
        (
            vec![("allowed", "gamma")],
            "Lab gamma answers it. There is nobody to fall back on.",
            "gamma-chat",
            Some("alpha-chat"),
        ),
        (
            vec![("allowed", "gamma"), ("enforced", "yes")],
            "Lab gamma answers it. There is nobody to fall back on.",
            "gamma-chat",
            None,
        ),
        (
            vec![("allowed", "beta"), ("allowed", "gamma"), ("enforced", "yes")],
            "Lab beta is asked first, and Lab gamma if it fails.",
            "beta-chat",
            None,
        ),
        (vec![("ignored", "alpha")], "Lab beta is asked first, and Lab gamma if it fails.", "beta-chat", None),
    ] {
        let mut fields = vec![("sort", "price"), ("default_model", "lab/chat")];
        fields.extend(settings);
        routes.set(&mut ada, &fields).await;
        let page = ada.get("/settings/preferences").await.body;
        assert!(page.contains(said), "{fields:?}: {page}");
        routes.until_asked(&plain, &[first]).await;
        routes.until_asked(&json!({}), &[first]).await;
        // A call that asks for alpha alone: only what is enforced, or ignored, keeps it from there.
        routes.until_asked(&others(), widened.as_slice()).await;
        // Who would be next is next.
        if let Some((_, next)) = said.split_once("and Lab ") {
            let next = format!("{}-chat", next.trim_end_matches(" if it fails."));
            routes.fails(first);
            assert_eq!(routes.call(plain.clone()).await.1, [first.to_owned(), next]);
            routes.works(first);
            // It is well again when it answered.
            let again = with(json!({ "order": [first.trim_end_matches("-chat")], "allow_fallbacks": true }));
            assert_eq!(routes.call(again).await.1, [first]);
        }
    }
    routes.farebox.books_are_clean().await;
}
