//! Which models, from where, how often.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{ada, edit, make, preset, saved, status, two, within_a_second};
use crate::support::{Farebox, Key, Options};

async fn models(farebox: &Farebox, key: &Key) -> Vec<String> {
    let list = farebox.get(key, "/api/v1/models").await;
    let ids = list["data"].as_array().expect("a list").iter();
    ids.map(|model| model["id"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn refused(farebox: &Farebox, key: &Key, model: &str, more: Value) -> (u16, String) {
    let answer = farebox.chat(key, model, "hi", more).await;
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_calls_and_sees_only_the_models_that_it_may() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let key = make(&mut ada, &[("models", "sandbox/echo")]).await;
    assert_eq!(status(&farebox, &key, "sandbox/echo").await, 200);
    let (code, body) = refused(&farebox, &key, "sandbox/penny", json!({})).await;
    assert!(code == 403 && body.contains("may not call the model sandbox/penny"), "{body}");
    // A suffix and the list of fallbacks open no other door, but an allowed model behind one that is not is served.
    assert_eq!(refused(&farebox, &key, "sandbox/penny:floor", json!({})).await.0, 403);
    assert_eq!(refused(&farebox, &key, "sandbox/penny", json!({ "models": ["sandbox/free"] })).await.0, 403);
    let answer = farebox.chat(&key, "sandbox/penny", "hi", json!({ "models": ["sandbox/echo"] })).await;
    let served: Value = answer.json().await.expect("an answer");
    assert_eq!(served["model"], "sandbox/echo", "{served}");
    assert_eq!(refused(&farebox, &key, "sandbox/nothing", json!({})).await.0, 404, "what is nowhere is not found");

    assert_eq!(models(&farebox, &key).await, ["sandbox/echo"]);
    assert_eq!(farebox.get(&key, "/api/v1/models/count").await["data"]["count"], 1);
    let bare: Value =
        farebox.http.get(farebox.url("/api/v1/models")).send().await.expect("an answer").json().await.expect("a list");
    assert!(bare["data"].as_array().expect("a list").len() > 1, "without a key the list is whole");

    saved(&mut ada, &key.id, &[("models", "")]).await;
    within_a_second(&farebox, &key, "sandbox/penny", 200).await;
    assert!(models(&farebox, &key).await.len() > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_bound_to_a_preset_that_is_there_and_gets_it() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let id = preset(&mut ada, "Support", &[("models", "sandbox/echo"), ("max_tokens", "3")]).await;
    let old = preset(&mut ada, "Old", &[]).await;
    let list = "/settings/presets";
    assert_eq!(ada.submit(list, &format!("{list}/{old}/archive"), &[]).await.status, 303, "no key is bound to it");
    for (slug, said) in [
        ("none", "There is no preset “none” here. No key was made."),
        ("old", "The preset “old” is archived, so calls with this key would be refused. No key was made."),
        ("@preset/No Slug", "The name of a preset"),
    ] {
        let key = farebox::base::ids::KeyId::fresh().to_string();
        let fields = [("id", key.as_str()), ("name", "Lab"), ("preset", slug)];
        for page in ["/keys", "/keys/give"] {
            let form = if page == "/keys" { "/keys/new" } else { page };
            let wrong = ada.submit(form, page, &fields).await;
            let said =
                if page == "/keys" { said.to_owned() } else { said.replace("No key was made.", "No link was made.") };
            assert_eq!(wrong.status, 422, "{}", wrong.body);
            assert!(wrong.body.contains(&said), "{said}: {}", wrong.body);
        }
    }
    assert_eq!(farebox.text("select count(*)::text from api_key").await, "0");

    // A call that names nothing gets the preset's model and its length; one without the binding does not.
    let free = make(&mut ada, &[]).await;
    let bound = make(&mut ada, &[("preset", "@preset/support")]).await;
    let body = json!({ "messages": [{ "role": "user", "content": "one two three four five six seven eight" }] });
    assert_eq!(farebox.post(&free, "/api/v1/chat/completions", &body).await.status(), 400);
    let answer = farebox.post(&bound, "/api/v1/chat/completions", &body).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.expect("JSON");
    assert_eq!(
        (&answer["model"], &answer["choices"][0]["finish_reason"]),
        (&json!("sandbox/echo"), &json!("length")),
        "{answer}"
    );
    let kept = "select attempts -> 0 -> 'presets' ->> 0 from usage where status = 'success'";
    farebox.holds_are_closed().await;
    assert_eq!(farebox.text(kept).await, "support");

    // Archiving it says so first; a key that stands on it can still be edited, and another cannot be bound to it.
    let asked = ada.submit(list, &format!("{list}/{id}/archive"), &[]).await;
    assert!(asked.status == 200 && asked.body.contains("One key is bound to it"), "{}", asked.body);
    assert_eq!(ada.submit(list, &format!("{list}/{id}/archive"), &[("confirmed", "yes")]).await.status, 303);
    saved(&mut ada, &bound.id, &[("day", "2")]).await;
    let wrong = edit(&mut ada, &free.id, &[("preset", "support")]).await;
    assert!(wrong.status == 422 && wrong.body.contains("is archived"), "{}", wrong.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_works_only_from_the_addresses_that_it_may() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let key = make(&mut ada, &[("networks", "127.0.0.0/8, ::1")]).await;
    assert_eq!(status(&farebox, &key, "sandbox/echo").await, 200);
    saved(&mut ada, &key.id, &[("networks", "203.0.113.0/24\n2001:db8::/32")]).await;
    within_a_second(&farebox, &key, "sandbox/echo", 403).await;
    let (_, body) = refused(&farebox, &key, "sandbox/echo", json!({})).await;
    assert!(body.contains("may not be used from the address 127.0.0.1"), "{body}");
    let info = farebox.http.get(farebox.url("/api/v1/key")).bearer_auth(&key.text).send().await.expect("an answer");
    assert_eq!(info.status(), 403, "for nothing else either");

    // What a client claims counts only where a proxy is trusted to have written it, and then only its last entry.
    let behind = Options {
        database_url: Some(farebox.database_url.clone()),
        env: vec![("FAREBOX_TRUSTED_PROXIES", "1".to_owned())],
        ..Options::default()
    };
    let proxied = Farebox::with(behind).await;
    for (at, claimed, expected) in [
        (&farebox, "203.0.113.9", 403),
        (&proxied, "203.0.113.9", 200),
        (&proxied, "2001:db8::7", 200),
        (&proxied, "::ffff:203.0.113.9", 200),
        (&proxied, "203.0.113.9, 198.51.100.1", 403),
        (&proxied, "nonsense", 403),
    ] {
        let request = at.http.post(at.url("/api/v1/chat/completions")).bearer_auth(&key.text);
        let body = json!({ "model": "sandbox/echo", "messages": [{ "role": "user", "content": "hi" }] });
        let answer = request.header("x-forwarded-for", claimed).json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), expected, "{claimed}");
    }
    saved(&mut ada, &key.id, &[("networks", "")]).await;
    within_a_second(&farebox, &key, "sandbox/echo", 200).await;
}

/// Waits until at least half a minute is left of the running one, by the database's clock.
async fn early_in_a_minute(farebox: &Farebox) {
    let second: f64 = sqlx::query_scalar("select extract(second from clock_timestamp())::float8")
        .fetch_one(&farebox.pool)
        .await
        .expect("a time");
    if second > 30.0 {
        tokio::time::sleep(std::time::Duration::from_secs_f64(60.5 - second)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_calls_begin_in_a_minute_on_all_nodes_together() {
    const PACE: usize = 7;
    let (first, second) = two().await;
    let mut ada = ada(&first).await;
    let key = make(&mut ada, &[("per_minute", "7")]).await;
    let free = make(&mut ada, &[]).await;
    early_in_a_minute(&first).await;
    let calls = (0..60).map(|number| {
        let farebox = if number % 2 == 0 { &first } else { &second };
        let more = if number % 3 == 0 { json!({ "stream": true }) } else { json!({}) };
        let key = &key;
        async move { farebox.chat(key, "sandbox/echo", "hi", more).await }
    });
    let answers = join_all(calls).await;
    let begun = answers.iter().filter(|answer| answer.status() == 200).count();
    assert_eq!(begun, PACE, "{:?}", answers.iter().map(|answer| answer.status()).collect::<Vec<_>>());
    for answer in answers.into_iter().filter(|answer| answer.status() != 200) {
        assert_eq!(answer.status(), 429);
        let wait = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()).expect("a time");
        assert!((1..=60).contains(&wait.parse::<u32>().expect("seconds")), "{wait}");
        let body = answer.text().await.expect("a body");
        assert!(body.contains("7 calls a minute"), "{body}");
    }
    assert_eq!(status(&first, &free, "sandbox/echo").await, 200, "another key has no pace");
    assert_eq!(first.text("select string_agg(calls::text, ',') from key_pace").await, "7", "and costs no count");
    let info = first.get(&free, "/api/v1/key").await;
    assert_eq!(info["data"]["rate_limit"]["requests"], -1);

    // Raised in the middle of the minute, what is more may begin; a new minute begins anew; without a pace all do.
    saved(&mut ada, &key.id, &[("per_minute", "9")]).await;
    within_a_second(&first, &key, "sandbox/echo", 200).await;
    within_a_second(&second, &key, "sandbox/echo", 200).await;
    assert_eq!(status(&second, &key, "sandbox/echo").await, 429);
    sqlx::query("update key_pace set minute = minute - interval '1 minute'").execute(&first.pool).await.expect("later");
    saved(&mut ada, &key.id, &[("per_minute", "2")]).await;
    within_a_second(&first, &key, "sandbox/echo", 200).await;
    saved(&mut ada, &key.id, &[("per_minute", "")]).await;
    for _ in 0..5 {
        within_a_second(&second, &key, "sandbox/echo", 200).await;
    }
    first.holds_are_closed().await;
    first.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rule_of_a_key_is_obeyed_by_two_processes_within_a_second() {
    let (first, second) = two().await;
    let mut ada = ada(&first).await;
    preset(&mut ada, "Other", &[("models", "sandbox/echo")]).await;
    let slug = first.text("select slug from preset").await;
    let key = make(&mut ada, &[]).await;
    let path = format!("/keys/{}", key.id);
    let model = "sandbox/penny";
    for farebox in [&first, &second] {
        assert_eq!(status(farebox, &key, model).await, 200, "both know it by now");
    }
    for (field, narrow, refused) in
        [("models", "sandbox/echo", 403), ("networks", "203.0.113.0/24", 403), ("per_minute", "1", 429)]
    {
        saved(&mut ada, &key.id, &[(field, narrow)]).await;
        for farebox in [&first, &second] {
            within_a_second(farebox, &key, model, refused).await;
        }
        saved(&mut ada, &key.id, &[(field, "")]).await;
        for farebox in [&first, &second] {
            within_a_second(farebox, &key, model, 200).await;
        }
    }
    // What it is bound to, by the model that answers where none is asked for.
    saved(&mut ada, &key.id, &[("preset", &slug)]).await;
    for farebox in [&first, &second] {
        let begun = std::time::Instant::now();
        loop {
            let body = json!({ "messages": [{ "role": "user", "content": "hi" }] });
            let answer = farebox.post(&key, "/api/v1/chat/completions", &body).await;
            let told: Value = answer.json().await.expect("JSON");
            if told["model"] == "sandbox/echo" {
                break;
            }
            assert!(begun.elapsed() < crate::support::size::heard_within(), "after a second: {told}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    for (action, refused) in [("disable", 403), ("enable", 200), ("delete", 401)] {
        ada.submit("/keys", &format!("{path}/{action}"), &[]).await;
        for farebox in [&first, &second] {
            within_a_second(farebox, &key, model, refused).await;
        }
    }
    let soon = make(&mut ada, &[]).await;
    for farebox in [&first, &second] {
        assert_eq!(status(farebox, &soon, model).await, 200);
    }
    // Its time comes while both remember it.
    sqlx::query("update api_key set expires_at = now() + interval '1 second' where deleted_at is null")
        .execute(&first.pool)
        .await
        .expect("a change");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    for farebox in [&first, &second] {
        within_a_second(farebox, &soon, model, 401).await;
    }
    first.holds_are_closed().await;
    first.books_are_clean().await;
}
