//! The routing settings of an organization: each of them off and on, in a real call, seen at the providers.

use std::time::Instant;

use serde_json::json;

use crate::support::fake_upstream::Behaviour;
use crate::support::routes::Routes;
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options};

const CHEAP: &[(&str, &str)] = &[("sort", "price")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_setting_changes_where_calls_go() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let plain = json!({ "model": "lab/chat" });
    let only = |slug: &str| json!({ "model": "lab/chat", "provider": { "only": [slug] } });

    // Balanced: mostly the cheapest, by chance. In sixty calls somebody else is asked, but for one chance in a million.
    let mut first = Vec::new();
    for n in 0..60 {
        let body = json!({ "model": "lab/chat", "messages": [{ "role": "user", "content": format!("call {n}") }] });
        first.extend(routes.call(body).await.1);
    }
    assert!(first.iter().filter(|one| *one == "alpha-chat").count() > 25, "{first:?}");
    assert!(first.iter().any(|one| one != "alpha-chat"), "{first:?}");

    // Default sort: the cheapest alone.
    routes.set(&mut ada, CHEAP).await;
    routes.until_asked(&plain, &["alpha-chat"]).await;
    for _ in 0..10 {
        assert_eq!(routes.call(plain.clone()).await, (200, vec!["alpha-chat".to_owned()]));
    }
    // A call may say otherwise.
    let turned = json!({ "model": "lab/chat", "provider": { "order": ["gamma"] } });
    assert_eq!(routes.call(turned).await.1, ["gamma-chat"]);

    // Ignored: never asked, also when named.
    routes.set(&mut ada, &[("sort", "price"), ("ignored", "alpha")]).await;
    routes.until_asked(&plain, &["beta-chat"]).await;
    let named = json!({ "model": "lab/chat", "provider": { "order": ["alpha"] } });
    assert_eq!(routes.call(named).await.1, ["beta-chat"]);
    assert_eq!(routes.call(only("alpha")).await, (404, vec![]));

    // Allowed, not enforced: a call that names others gets them.
    routes.set(&mut ada, &[("sort", "price"), ("allowed", "gamma"), ("allowed", "beta")]).await;
    routes.until_asked(&only("alpha"), &["alpha-chat"]).await;
    assert_eq!(routes.call(plain.clone()).await.1, ["beta-chat"]);
    assert_eq!(routes.call(only("gamma")).await.1, ["gamma-chat"]);

    // Always enforce: nothing widens it, and the refusal says why.
    routes.set(&mut ada, &[("sort", "price"), ("allowed", "gamma"), ("allowed", "beta"), ("enforced", "yes")]).await;
    routes.until_asked(&only("alpha"), &[]).await;
    let (status, asked, told) = routes.told(&routes.key, only("alpha")).await;
    assert_eq!((status, asked.len()), (404, 0), "{told}");
    assert_eq!(told["error"]["metadata"]["left_out"]["alpha"], "it is not on your list of allowed providers", "{told}");
    assert_eq!(routes.call(only("gamma")).await.1, ["gamma-chat"]);
    assert_eq!(routes.call(plain.clone()).await.1, ["beta-chat"]);

    // Default model: without it a call without one is refused.
    let nameless = json!({});
    let (status, _, told) = routes.told(&routes.key, nameless.clone()).await;
    assert_eq!(status, 400, "{told}");
    routes.set(&mut ada, &[("sort", "price"), ("default_model", "lab/other")]).await;
    routes.until_asked(&nameless, &["beta-other"]).await;
    assert_eq!(routes.call(plain).await.1, ["alpha-chat"], "who names a model gets it");
    routes.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn speed_that_was_measured_here_sorts() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    routes.upstream.behave("alpha-chat", Behaviour::Slow { chunks: 4, ms_per_chunk: 150 });
    routes.upstream.behave("beta-chat", Behaviour::Slow { chunks: 4, ms_per_chunk: 60 });
    for slug in ["alpha", "beta", "gamma"] {
        let body = json!({ "model": "lab/chat", "stream": true, "provider": { "order": [slug] } });
        let answer = routes.farebox.chat(&routes.key, "lab/chat", "hi", body).await;
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("a stream");
    }
    let plain = json!({ "model": "lab/chat" });
    routes.set(&mut ada, CHEAP).await;
    routes.until_asked(&plain, &["alpha-chat"]).await;
    for sort in ["latency", "throughput"] {
        routes.set(&mut ada, &[("sort", sort)]).await;
        routes.until_asked(&plain, &["gamma-chat"]).await;
        routes.set(&mut ada, CHEAP).await;
        routes.until_asked(&plain, &["alpha-chat"]).await;
    }
    // Slower than wanted: later, not never.
    let wish = json!({ "model": "lab/chat", "provider": { "preferred_min_throughput": 100 } });
    assert_eq!(routes.call(wish).await.1, ["gamma-chat"]);
    assert_eq!(routes.call(plain).await.1, ["alpha-chat"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_hears_of_a_change() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let url = routes.farebox.database_url.clone();
    let other = Farebox::with(Options { database_url: Some(url), ..Options::default() }).await;
    let body = json!({ "model": "lab/chat", "messages": [{ "role": "user", "content": "hi" }] });
    let asked = async || {
        routes.upstream.forget();
        let answer = other.post(&routes.key, "/api/v1/chat/completions", &body).await;
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("a body");
        routes.upstream.produced().pop().map(|one| one.model).unwrap_or_default()
    };
    for (slug, upstream) in [("gamma", "gamma-chat"), ("beta", "beta-chat"), ("gamma", "gamma-chat")] {
        routes.set(&mut ada, &[("sort", "price"), ("allowed", slug)]).await;
        let changed = Instant::now();
        while asked().await != upstream {
            // Far within the half minute after which memories fade by themselves.
            assert!(changed.elapsed().as_secs() < 5, "the other node never heard of {slug}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_what_would_happen_and_what_is_wrong() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let page = "/settings/preferences";
    routes.set(&mut ada, &[("sort", "price"), ("default_model", "lab/chat"), ("ignored", "gamma")]).await;
    let shown = ada.get(page).await.body;
    assert!(shown.contains("Lab alpha is asked first, and Lab beta if it fails."), "{shown}");
    assert!(shown.contains("it is on your list of ignored providers"), "{shown}");
    // What is not saved yet is shown, and stays unsaved.
    let preview = ada.get(&format!("{page}?preview=1&sort=balanced&default_model=lab/chat&allowed=beta")).await.body;
    assert!(preview.contains("Lab beta answers it. There is nobody to fall back on."), "{preview}");
    let preview = ada.get(&format!("{page}?preview=1&sort=balanced&default_model=lab/chat&ignored=gamma")).await.body;
    assert!(preview.contains("Lab alpha is asked first in 80% of the calls."), "{preview}");
    assert!(ada.get(page).await.body.contains("Lab alpha is asked first, and Lab beta if it fails."));
    // Who has just failed is seen there.
    routes.fails("alpha-chat");
    assert_eq!(routes.call(json!({ "model": "lab/chat" })).await.1, ["alpha-chat", "beta-chat"]);
    let shown = ada.get(page).await.body;
    assert!(shown.contains("Lab beta is asked first, and Lab alpha if it fails."), "{shown}");
    for (fields, said) in [
        (vec![("allowed", "beta"), ("ignored", "beta")], "is allowed and ignored at once"),
        (vec![("enforced", "yes")], "needs at least one allowed provider"),
        (vec![("allowed", "nobody")], "There is no provider “nobody” here."),
        (vec![("default_model", "lab/none")], "There is no model “lab/none” here."),
    ] {
        let page = ada.submit(page, page, &fields).await;
        assert_eq!(page.status, 422, "{}", page.body);
        assert!(page.body.contains(said), "{said}: {}", page.body);
    }
    let log =
        routes.farebox.text("select count(*)::text from audit_entry where action = 'settings.preferences_changed'");
    assert_eq!(log.await, "1");
}

/// Privacy switches and own keys are no fields of this page, and decide all the same: what it says is what becomes of a call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_happen_counts_privacy_and_own_keys() {
    let env = vec![("FAREBOX_BYOK_FREE_PER_MONTH", "0".to_owned())];
    let routes = Routes::with(env).await;
    let mut ada = routes.ada();
    let page = "/settings/preferences";
    routes.set(&mut ada, &[("sort", "price"), ("default_model", "lab/chat"), ("ignored", "beta")]).await;
    let plain = json!({ "model": "lab/chat" });
    let shown = ada.get(page).await.body;
    assert!(shown.contains("Lab alpha is asked first, and Lab gamma if it fails."), "{shown}");

    // Gamma trains on what it is sent.
    let privacy = "/settings/privacy";
    assert_eq!(ada.submit(privacy, privacy, &[("free_training", "yes"), ("keep_days", "30")]).await.status, 303);
    let shown = ada.get(page).await.body;
    assert!(shown.contains("Lab alpha answers it. There is nobody to fall back on."), "{shown}");
    assert!(shown.contains("which your privacy settings forbid for paid models"), "{shown}");
    // Also where the fields of the form would let it.
    let preview = ada.get(&format!("{page}?preview=1&sort=price&default_model=lab/chat&allowed=gamma")).await.body;
    assert!(preview.contains("Nobody may answer it: the call would be refused."), "{preview}");
    routes.fails("alpha-chat");
    let mut asked = Vec::new();
    for _ in 0..100 {
        asked = routes.call(plain.clone()).await.1;
        if asked == ["alpha-chat"] {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(asked, ["alpha-chat"], "and gamma is not asked although alpha fails");
    routes.works("alpha-chat");
    // Who failed a moment ago is asked last until it answers again.
    let again = json!({ "model": "lab/chat", "provider": { "order": ["alpha"] } });
    assert_eq!(routes.call(again).await.1, ["alpha-chat"]);
    let usual = [("paid_training", "yes"), ("free_training", "yes"), ("keep_days", "30")];
    assert_eq!(ada.submit(privacy, privacy, &usual).await.status, 303);

    // An own key goes first.
    let own = "/settings/integrations/gamma";
    let key = "sk-own-0123456789abcdefghijklmnop";
    assert_eq!(ada.submit(own, own, &[("api_key", key), ("mode", "first")]).await.status, 303);
    let shown = ada.get(page).await.body;
    assert!(shown.contains("Lab gamma with your own key is asked first, and Lab alpha if it fails."), "{shown}");
    assert!(shown.contains("(your own key)"), "the choice of providers says so: {shown}");
    routes.until_asked(&plain, &["gamma-chat"]).await;

    // One that is for another key only does not count here, and the page says so.
    let second = routes.farebox.key(crate::support::routes::EMAIL, "", &[]).await;
    assert_eq!(ada.submit(own, own, &[("mode", "only"), ("key", &second.id)]).await.status, 303);
    let shown = ada.get(page).await.body;
    assert!(shown.contains("Lab alpha answers it. There is nobody to fall back on."), "{shown}");
    assert!(shown.contains("only your own key may be used there, and it is not for this call"), "{shown}");
    assert!(shown.contains("It is made with a key that your own key for Lab gamma is not limited to"), "{shown}");
    routes.until_asked(&plain, &["alpha-chat"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_instance_decides_where_nobody_else_does() {
    let env = vec![("FAREBOX_DEFAULT_MODEL", "lab/chat".to_owned()), ("FAREBOX_DEFAULT_SORT", "price".to_owned())];
    let routes = Routes::with(env).await;
    let mut ada: Visitor<'_> = routes.ada();
    for _ in 0..8 {
        assert_eq!(routes.call(json!({})).await, (200, vec!["alpha-chat".to_owned()]));
    }
    routes.set(&mut ada, &[("default_model", "lab/other")]).await;
    routes.until_asked(&json!({}), &["beta-other"]).await;
}
