//! Keys that an organization brings itself: each mode and limit in real calls, seen at the providers; what it costs; and
//! that a key never comes back.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::management::{ask, provisioning, send};
use crate::support::fake_upstream::Behaviour;
use crate::support::routes::{EMAIL, PASSWORD, Routes};
use crate::support::visitor::{Visitor, between, form};
use crate::support::{Farebox, Key, Options, calendar, lab, team};

pub const OWN: &str = "sk-own-0123456789abcdefghijklmnop";
const PAGE: &str = "/settings/integrations/beta";
const CHEAP: &[(&str, &str)] = &[("sort", "price")];

/// No allowance, so that every fee shows.
async fn routes(more: &[(&'static str, &str)]) -> Routes {
    let mut env = vec![("FAREBOX_BYOK_FREE_PER_MONTH", "0".to_owned())];
    env.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    Routes::with(env).await
}

pub async fn connect(ada: &mut Visitor<'_>, fields: &[(&str, &str)]) {
    let page = ada.submit(PAGE, PAGE, fields).await;
    assert_eq!(page.status, 303, "{}", page.body);
}

fn chat(more: &Value) -> Value {
    let mut body = json!({ "model": "lab/chat" });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    body
}

/// Who was asked for the last call, and with which key.
fn asked(routes: &Routes) -> Vec<(String, String)> {
    let key = |one: &crate::support::fake_upstream::Produced| {
        let sent = one.headers.get("authorization").map(String::as_str).unwrap_or_default();
        sent.trim_start_matches("Bearer ").to_owned()
    };
    routes.upstream.produced().iter().map(|one| (one.model.clone(), key(one))).collect()
}

fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(model, key)| ((*model).to_owned(), (*key).to_owned())).collect()
}

/// Calls until the providers are asked as wanted: within a second, where the machine is not busy.
pub async fn until(routes: &Routes, key: &Key, body: &Value, wanted: &[(&str, &str)]) -> Value {
    for _ in 0..100 {
        let told = routes.told(key, body.clone()).await.2;
        if asked(routes) == pairs(wanted) {
            return told;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{body} never went to {wanted:?}, but to {:?}", asked(routes));
}

fn number(value: &Value) -> Decimal {
    value.to_string().parse().unwrap_or_else(|_| panic!("{value} is no number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mode_and_limit_of_a_key_is_seen_at_the_providers() {
    let routes = routes(&[]).await;
    let mut ada = routes.ada();
    routes.set(&mut ada, CHEAP).await;
    let plain = chat(&json!({}));
    let key = routes.key.clone();
    until(&routes, &key, &plain, &[("alpha-chat", "")]).await;

    // First: before a cheaper provider, with the own key, and the operator's account after it.
    connect(&mut ada, &[("api_key", OWN), ("mode", "first"), ("name", "Research")]).await;
    let told = until(&routes, &key, &plain, &[("beta-chat", OWN)]).await;
    assert_eq!(told["usage"]["is_byok"], true, "{told}");
    routes.fails("beta-chat");
    until(&routes, &key, &plain, &[("beta-chat", OWN), ("alpha-chat", "")]).await;
    routes.works("beta-chat");
    // What the account at the provider says of itself is no outage of the endpoint for others.
    let refused = Behaviour::Status { status: 401, retry_after: None };
    routes.upstream.behave_once("beta-chat", refused.clone());
    let told = routes.told(&key, plain.clone()).await.2;
    assert_eq!(told["usage"]["is_byok"], false, "{told}");
    // `order` is obeyed: whoever is named comes first, a named one with its own key before the operator's.
    let named = chat(&json!({ "provider": { "order": ["gamma", "beta"] } }));
    until(&routes, &key, &named, &[("gamma-chat", "")]).await;
    routes.fails("gamma-chat");
    until(&routes, &key, &named, &[("gamma-chat", ""), ("beta-chat", OWN)]).await;
    routes.works("gamma-chat");

    // Fallback: after everybody on the operator's accounts.
    connect(&mut ada, &[("mode", "fallback")]).await;
    until(&routes, &key, &plain, &[("alpha-chat", "")]).await;
    for model in ["alpha-chat", "gamma-chat"] {
        routes.fails(model);
    }
    routes.upstream.behave_once("beta-chat", Behaviour::Status { status: 500, retry_after: None });
    let told = routes.told(&key, plain.clone()).await.2;
    let order = asked(&routes);
    assert_eq!(order.last(), Some(&("beta-chat".to_owned(), OWN.to_owned())), "{order:?}");
    assert_eq!(order.iter().filter(|(_, with)| with.is_empty()).count(), 3, "{order:?}");
    assert_eq!(told["usage"]["is_byok"], true, "{told}");
    for model in ["alpha-chat", "gamma-chat"] {
        routes.works(model);
    }

    // Never the operator's account there: where the own key fails, or is not for the call, nobody there is asked.
    connect(&mut ada, &[("mode", "only")]).await;
    let other = json!({ "model": "lab/other" });
    until(&routes, &key, &other, &[("beta-other", OWN)]).await;
    routes.fails("beta-other");
    let (status, _, _) = routes.told(&key, other.clone()).await;
    assert_eq!((status, asked(&routes)), (502, pairs(&[("beta-other", OWN)])));
    routes.works("beta-other");
    connect(&mut ada, &[("mode", "only"), ("models", "lab/chat")]).await;
    until(&routes, &key, &other, &[]).await;
    let (status, _, told) = routes.told(&key, other.clone()).await;
    assert_eq!(status, 404, "{told}");
    let why = "only your own key may be used there, and it is not for this call";
    assert_eq!(told["error"]["metadata"]["left_out"]["beta"], why, "{told}");
    until(&routes, &key, &plain, &[("beta-chat", OWN)]).await;

    // For one model, one key and one member.
    connect(&mut ada, &[("mode", "first"), ("models", "lab/other")]).await;
    until(&routes, &key, &other, &[("beta-other", OWN)]).await;
    assert_eq!(routes.told(&key, plain.clone()).await.0, 200);
    assert!(asked(&routes).iter().all(|(_, with)| with.is_empty()), "not for this model: {:?}", asked(&routes));
    let second = routes.farebox.key(EMAIL, "", &[]).await;
    connect(&mut ada, &[("mode", "first"), ("key", &second.id)]).await;
    until(&routes, &second, &other, &[("beta-other", OWN)]).await;
    until(&routes, &key, &other, &[("beta-other", "")]).await;

    // Replaced and disconnected.
    let other_key = "sk-other-zyxwvutsrqponmlkjihgfedcba";
    connect(&mut ada, &[("api_key", other_key), ("mode", "first")]).await;
    until(&routes, &key, &other, &[("beta-other", other_key)]).await;
    let gone = ada.submit(PAGE, &format!("{PAGE}/disconnect"), &[]).await;
    assert_eq!(gone.status, 303, "{}", gone.body);
    until(&routes, &key, &other, &[("beta-other", "")]).await;
    let kept: i64 =
        sqlx::query_scalar("select count(*) from provider_key").fetch_one(&routes.farebox.pool).await.expect("a count");
    assert_eq!(kept, 0);
    let log: Vec<String> =
        sqlx::query_scalar("select action from audit_entry where action like 'provider_key.%' order by seq")
            .fetch_all(&routes.farebox.pool)
            .await
            .expect("the log");
    assert_eq!(log.first().map(String::as_str), Some("provider_key.connected"));
    assert!(
        log.iter().any(|one| one == "provider_key.changed") && log.iter().any(|one| one == "provider_key.replaced")
    );
    assert_eq!(log.last().map(String::as_str), Some("provider_key.disconnected"));
    routes.farebox.holds_are_closed().await;
    routes.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_on_an_own_account_costs_the_fee_and_shows_the_rest_everywhere() {
    calendar::within_a_day().await;
    let routes = routes(&[]).await;
    let (farebox, key) = (&routes.farebox, &routes.key);
    let mut ada = routes.ada();
    connect(&mut ada, &[("api_key", OWN), ("mode", "only")]).await;
    let told = until(&routes, key, &json!({ "model": "lab/other" }), &[("beta-other", OWN)]).await;
    let usage = &told["usage"];
    let tokens = (number(&usage["prompt_tokens"]), number(&usage["completion_tokens"]));
    let million = Decimal::from(1_000_000);
    let list = (tokens.0 * Decimal::from(2) + tokens.1 * Decimal::from(4)) / million;
    let fee = list * "0.05".parse::<Decimal>().expect("a number");
    assert_eq!(number(&usage["cost"]), fee.normalize(), "{told}");
    assert_eq!(number(&usage["cost_details"]["upstream_inference_cost"]), list.normalize(), "{told}");
    assert_eq!(usage["is_byok"], true);
    // The hold was the fee of the longest answer, and nothing for the price.
    let (hold, cost): (Decimal, Decimal) = sqlx::query_as("select hold, cost from usage order by id desc limit 1")
        .fetch_one(&farebox.pool)
        .await
        .expect("a row");
    assert!(hold >= cost && hold < "0.01".parse().expect("a number"), "{hold}");

    let id = told["id"].as_str().expect("an id");
    let generation = farebox.get(key, &format!("/api/v1/generation?id={id}")).await;
    let data = &generation["data"];
    assert_eq!(number(&data["total_cost"]), fee.normalize(), "{data}");
    assert_eq!(number(&data["upstream_inference_cost"]), list.normalize());
    assert_eq!((&data["is_byok"], number(&data["byok_fee"])), (&json!(true), fee.normalize()));
    assert_eq!(data["provider_responses"][0]["is_byok"], true, "{data}");
    let calls = Decimal::from(routes_calls(farebox).await);
    let info = farebox.get(key, "/api/v1/key").await;
    assert_eq!(number(&info["data"]["byok_usage"]), (list * calls).normalize(), "{info}");
    assert_eq!(number(&info["data"]["byok_usage_daily"]), (list * calls).normalize());
    assert_eq!(number(&info["data"]["usage"]), (fee * calls).normalize());
    let page = ada.get(&format!("/activity/{id}")).await.body;
    for text in ["Billed by the provider to your own account", "Fee for calls with your own key", "5%", "your own key"]
    {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    let models = ada.get("/models").await.body;
    assert!(models.contains(">BYOK<"), "models that an own key reaches are marked");
    let page = ada.get("/settings/integrations").await.body;
    assert!(page.contains("sk-o…mnop") && !page.contains(OWN), "{page}");
    farebox.books_are_clean().await;

    // A limit of the key that counts such calls stops them, one that does not lets them go on.
    limit(&mut ada, &key.id, &[("total", "0.000001"), ("byok", "on")]).await;
    let (status, _, told) = routes.told(key, json!({ "model": "lab/other" })).await;
    assert_eq!(status, 403, "{told}");
    limit(&mut ada, &key.id, &[("total", "1")]).await;
    assert_eq!(routes.told(key, json!({ "model": "lab/other" })).await.0, 200);
}

/// Edits a key: what its form has, but for these.
async fn limit(ada: &mut Visitor<'_>, key: &str, other: &[(&str, &str)]) {
    let edit = format!("/keys/{key}/edit");
    let mut fields = form(&ada.get(&edit).await.body, &edit);
    fields.retain(|(name, _)| !["csrf_token", "total", "byok", "expires"].contains(&name.as_str()));
    let mut fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.push(("expires", "never"));
    fields.extend(other);
    let edited = ada.submit(&edit, &edit, &fields).await;
    assert_eq!(edited.status, 303, "{}", edited.body);
}

async fn routes_calls(farebox: &Farebox) -> i64 {
    sqlx::query_scalar("select count(*) from usage where is_byok").fetch_one(&farebox.pool).await.expect("a count")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_the_allowance_nothing_is_charged_and_no_credits_are_needed() {
    calendar::within_a_day().await;
    let routes = Routes::with(vec![("FAREBOX_BYOK_FREE_PER_MONTH", "0.001".to_owned())]).await;
    let farebox = &routes.farebox;
    // Somebody without any credits.
    let mut bob = Visitor::member(farebox, "bob@example.com", PASSWORD).await;
    let poor = farebox.key("bob@example.com", "", &[]).await;
    let other = json!({ "model": "lab/other" });
    assert_eq!(routes.told(&poor, other.clone()).await.0, 402, "without a key of their own");
    connect(&mut bob, &[("api_key", OWN), ("mode", "only")]).await;
    let told = until(&routes, &poor, &other, &[("beta-other", OWN)]).await;
    assert_eq!(number(&told["usage"]["cost"]), Decimal::ZERO, "{told}");
    assert!(number(&told["usage"]["cost_details"]["upstream_inference_cost"]) > Decimal::ZERO, "{told}");
    // The allowance is a thousandth of a dollar: it ends some day, and then the fee is owed and cannot be paid.
    let mut last = 200;
    for _ in 0..200 {
        last = routes.told(&poor, other.clone()).await.0;
        if last != 200 {
            break;
        }
    }
    assert_eq!(last, 402);
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
    let free: Decimal =
        sqlx::query_scalar("select sum(byok_free) from usage").fetch_one(&farebox.pool).await.expect("a sum");
    assert_eq!(free.normalize(), "0.001".parse::<Decimal>().expect("a number"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_tested_with_a_real_call_and_goes_to_its_host_alone() {
    let routes = routes(&[]).await;
    let farebox = &routes.farebox;
    let mut ada = routes.ada();
    let test = format!("{PAGE}/test");
    connect(&mut ada, &[("api_key", OWN), ("mode", "only")]).await;
    routes.upstream.forget();
    assert_eq!(ada.submit(PAGE, &test, &[]).await.status, 303);
    assert!(ada.get(PAGE).await.body.contains("The key works"));
    let produced = routes.upstream.produced();
    assert_eq!((produced.len(), &produced[0].body["max_tokens"]), (1, &json!(16)));
    assert_eq!(produced[0].headers["authorization"], format!("Bearer {OWN}"));
    // Not again at once, however often the button is pressed.
    ada.submit(PAGE, &test, &[]).await;
    assert!(ada.get(PAGE).await.body.contains("tested a moment ago"));
    assert_eq!(routes.upstream.produced().len(), 1);
    sqlx::query("update provider_key set tested_at = now() - interval '1 minute'")
        .execute(&farebox.pool)
        .await
        .expect("done");
    for model in ["beta-chat", "beta-other"] {
        routes.upstream.behave(model, Behaviour::Status { status: 401, retry_after: None });
    }
    ada.submit(PAGE, &test, &[]).await;
    let page = ada.get(PAGE).await.body;
    assert!(page.contains("The provider refused the key"), "{page}");
    // The key is good, and the model that the test asks is none of its account.
    sqlx::query("update provider_key set tested_at = null").execute(&farebox.pool).await.expect("done");
    for model in ["beta-chat", "beta-other"] {
        routes.upstream.behave(model, Behaviour::Status { status: 404, retry_after: None });
    }
    ada.submit(PAGE, &test, &[]).await;
    let page = ada.get(PAGE).await.body;
    assert!(page.contains("The provider accepted the key, but not the test with lab/"), "{page}");
    assert_eq!(farebox.text("select test_result from provider_key").await, "");
    routes.works("beta-chat");
    routes.works("beta-other");

    // The catalog leads the provider elsewhere: the key stays where it is.
    let elsewhere = crate::support::fake_upstream::FakeUpstream::start();
    lab::apply(&farebox.database_url, &crate::support::routes::catalog(&elsewhere)).await;
    let other = json!({ "model": "lab/other" });
    let mut status = 200;
    for _ in 0..100 {
        status = routes.told(&routes.key, other.clone()).await.0;
        if status == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(status, 404, "never the operator's account there, and the own key not at another address");
    assert!(elsewhere.produced().is_empty());
    assert!(ada.get("/settings/integrations").await.body.contains("Address changed"));
    let page = ada.submit(PAGE, PAGE, &[("mode", "first")]).await;
    assert!(page.status == 422 && page.body.contains("Paste the key again"), "{}", page.body);
    sqlx::query("update provider_key set tested_at = null").execute(&farebox.pool).await.expect("done");
    ada.submit(PAGE, &test, &[]).await;
    assert!(elsewhere.produced().is_empty(), "a test does not take it there either");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pasted_never_comes_back_and_lies_nowhere_in_plain() {
    let routes = routes(&[]).await;
    let mut ada = routes.ada();
    for (wrong, why) in [("short", "8 to 2,048"), ("two words are none", "no spaces"), ("", "Paste the key")] {
        let page = ada.submit(PAGE, PAGE, &[("api_key", wrong), ("mode", "first")]).await;
        assert!(page.status == 422 && page.body.contains(why), "{wrong}: {}", page.body);
        assert!(wrong.is_empty() || !page.body.contains(wrong), "{wrong}");
    }
    connect(&mut ada, &[("api_key", OWN), ("mode", "first")]).await;
    let row: Vec<u8> =
        sqlx::query_scalar("select ciphertext from provider_key").fetch_one(&routes.farebox.pool).await.expect("a row");
    assert!(!row.windows(8).any(|part| OWN.as_bytes().windows(8).any(|own| own == part)));
    // Moved to another row it does not open, and the calls go on without it.
    sqlx::query("update provider_key set provider = 'alpha'").execute(&routes.farebox.pool).await.expect("moved");
    let only = json!({ "model": "lab/chat", "provider": { "only": ["alpha"] } });
    until(&routes, &routes.key, &only, &[("alpha-chat", "")]).await;
    assert!(routes.farebox.log().contains("cannot be opened"), "{}", routes.farebox.log());
    // Others may not even see that there is one.
    let mut bob = Visitor::member(&routes.farebox, "bob@example.com", PASSWORD).await;
    assert!(!bob.get("/settings/integrations").await.body.contains("sk-o…mnop"));
    let found = bob.submit("/settings/profile", &format!("{PAGE}/test"), &[]).await;
    assert_eq!(found.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_encryption_key_is_changed_while_everything_runs() {
    let old = "1".repeat(64);
    let new = "2".repeat(64);
    let both = format!("{new},{old}");
    let routes = routes(&[("FAREBOX_ENCRYPTION_KEYS", &old)]).await;
    let farebox = &routes.farebox;
    let mut ada = routes.ada();
    connect(&mut ada, &[("api_key", OWN), ("mode", "only")]).await;
    let other = json!({ "model": "lab/other" });
    until(&routes, &routes.key, &other, &[("beta-other", OWN)]).await;
    let kek = async || farebox.text("select string_agg(kek_id, ',') from data_key").await;
    let before = kek().await;

    // A second process has the new key first; both serve.
    let node = |keys: &str| Options {
        database_url: Some(farebox.database_url.clone()),
        env: vec![("FAREBOX_ENCRYPTION_KEYS", keys.to_owned()), ("FAREBOX_BYOK_FREE_PER_MONTH", "0".to_owned())],
        ..Options::default()
    };
    let next = Farebox::with(node(&both)).await;
    let ask =
        async |one: &Farebox| one.post(&routes.key, "/api/v1/chat/completions", &body(&other)).await.status().as_u16();
    assert_eq!(ask(&next).await, 200);
    let calls = async {
        for _ in 0..20 {
            assert_eq!((ask(farebox).await, ask(&next).await), (200, 200));
        }
    };
    let rotate = next.cli(&["secrets", "rotate"]);
    let (rotated, ()) = tokio::join!(rotate, calls);
    let said = String::from_utf8_lossy(&rotated.stdout).into_owned();
    assert!(rotated.status.success() && said.starts_with("1 data keys sealed anew"), "{said}");
    assert_ne!(kek().await, before);
    let again = next.cli(&["secrets", "rotate"]).await;
    assert!(String::from_utf8_lossy(&again.stdout).starts_with("0 data keys"), "run again it does nothing");

    // The old key is gone: whoever has the new one alone works, and whoever has the old one alone says so.
    let alone = Farebox::with(node(&new)).await;
    assert_eq!(ask(&alone).await, 200);
    assert_eq!(
        routes.upstream.produced().last().map(|one| one.headers["authorization"].clone()),
        Some(format!("Bearer {OWN}"))
    );
    let late = Farebox::with(node(&old)).await;
    assert_eq!(ask(&late).await, 404, "its key cannot be opened there, and nobody else may be used");
    assert!(late.log().contains("cannot be opened"));
}

fn body(call: &Value) -> Value {
    let mut body = call.clone();
    body["messages"] = json!([{ "role": "user", "content": "Say something." }]);
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_in_the_middle_charges_no_fee_that_cannot_be_proven() {
    let env = vec![("FAREBOX_HOLD_TTL_SECONDS", "2".to_owned()), ("FAREBOX_SWEEP_SECONDS", "1".to_owned())];
    let mut routes = routes(&[]).await;
    let mut ada = routes.ada();
    connect(&mut ada, &[("api_key", OWN), ("mode", "only")]).await;
    until(&routes, &routes.key, &json!({ "model": "lab/other" }), &[("beta-other", OWN)]).await;
    drop(ada);
    routes.upstream.forget();
    routes.upstream.behave("beta-other", Behaviour::HangBeforeHeaders);
    let asking = {
        let (http, url, key) =
            (routes.farebox.http.clone(), routes.farebox.url("/api/v1/chat/completions"), routes.key.text.clone());
        tokio::spawn(async move {
            http.post(url).bearer_auth(key).json(&body(&json!({ "model": "lab/other" }))).send().await
        })
    };
    routes.upstream.wait_until(std::time::Duration::from_secs(10), |log| !log.is_empty()).await;
    routes.farebox.kill();
    let _ = asking.await;
    sqlx::query("update hold set expires_at = now()").execute(&routes.farebox.pool).await.expect("due");
    let again =
        Farebox::with(Options { database_url: Some(routes.farebox.database_url.clone()), env, ..Options::default() })
            .await;
    again.holds_are_closed().await;
    let status = again.text("select status from usage order by id desc limit 1").await;
    assert_eq!(status, "abandoned");
    again.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_for_one_member_is_for_nobody_else() {
    let routes = routes(&[]).await;
    let farebox = &routes.farebox;
    let mut ada = routes.ada();
    let mut bob = Visitor::member(farebox, "bob@example.com", PASSWORD).await;
    let org = team::create(&mut ada, "Lab").await;
    team::bring_in(farebox, &mut ada, &mut bob, "bob@example.com", "member").await;
    team::open(&mut bob, &org).await;
    let key_of = async |visitor: &mut Visitor<'_>| Key {
        text: team::key(visitor, "mine").await,
        org: org.clone(),
        id: String::new(),
    };
    let (of_ada, of_bob) = (key_of(&mut ada).await, key_of(&mut bob).await);
    let ada_id = team::person(farebox, EMAIL).await;
    // Nobody has credits there, so only a fee of nothing could be paid: the allowance is none, and a call is refused.
    connect(&mut ada, &[("api_key", OWN), ("mode", "only"), ("member", &ada_id)]).await;
    let other = json!({ "model": "lab/other" });
    let mut statuses = (0, 0);
    for _ in 0..100 {
        statuses = (routes.told(&of_ada, other.clone()).await.0, routes.told(&of_bob, other.clone()).await.0);
        if statuses == (402, 404) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(statuses, (402, 404), "she is reached and has no credits for the fee, he is not");
    let page = bob.get(PAGE).await;
    assert_eq!(page.status, 403, "a member does not change it");
    assert!(between(&bob.get("/settings/integrations").await.body, "<h1", "</h1>").contains("Integrations"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_stores_changes_and_deletes_keys_of_providers() {
    let routes = routes(&[]).await;
    let (farebox, key) = (&routes.farebox, &routes.key);
    let manager = provisioning(farebox, EMAIL, "", &[]).await;
    let (byok, other) = ("/api/v1/byok", json!({ "model": "lab/other" }));
    until(&routes, key, &other, &[("beta-other", "")]).await;
    let body = json!({ "provider": "beta", "key": OWN, "name": "By a program", "is_byok_only": true });
    let made = ask(farebox, &manager, ("POST", byok), Some(body.clone()), 201).await;
    let data = &made["data"];
    assert_eq!(
        (&data["provider"], &data["name"], &data["label"], &data["is_byok_only"], &data["is_fallback"]),
        (&json!("beta"), &json!("By a program"), &json!("sk-o…mnop"), &json!(true), &json!(false)),
        "{made}"
    );
    assert!(data["allowed_models"].is_null() && !made.to_string().contains(OWN), "{made}");
    let told = until(&routes, key, &other, &[("beta-other", OWN)]).await;
    assert_eq!(told["usage"]["is_byok"], true, "{told}");
    let one = format!("{byok}/{}", data["id"].as_str().expect("an id"));
    // A second one for a provider is refused, and replaces nothing.
    let second = json!({ "provider": "beta", "key": "sk-another-0123456789abcdef" });
    ask(farebox, &manager, ("POST", byok), Some(second), 409).await;
    until(&routes, key, &other, &[("beta-other", OWN)]).await;
    let list = ask(farebox, &manager, ("GET", byok), None, 200).await;
    assert_eq!((&list["total_count"], &list["data"][0]), (&json!(1), data));
    for (query, count) in [("provider=alpha", 0), ("provider=beta", 1), ("offset=1", 1), ("limit=1", 1)] {
        let found = ask(farebox, &manager, ("GET", &format!("{byok}?{query}")), None, 200).await;
        assert_eq!(found["total_count"], count, "{query}: {found}");
    }
    ask(farebox, &manager, ("GET", &format!("{byok}?limit=101")), None, 400).await;
    assert_eq!(ask(farebox, &manager, ("GET", &one), None, 200).await["data"], *data);

    // Each field of a change, seen in calls.
    let change = async |body: Value| ask(farebox, &manager, ("PATCH", &one), Some(body), 200).await["data"].clone();
    let next = farebox.key(EMAIL, "", &[]).await;
    let hash = farebox::base::Digest::of(&next.text).to_hex();
    let changed = change(json!({ "is_byok_only": false, "allowed_api_key_hashes": [hash] })).await;
    assert_eq!((&changed["allowed_api_key_hashes"], &changed["name"]), (&json!([hash]), &json!("By a program")));
    until(&routes, &next, &other, &[("beta-other", OWN)]).await;
    until(&routes, key, &other, &[("beta-other", "")]).await;
    change(json!({ "allowed_api_key_hashes": null, "allowed_models": ["lab/chat"] })).await;
    until(&routes, key, &other, &[("beta-other", "")]).await;
    until(&routes, key, &chat(&json!({})), &[("beta-chat", OWN)]).await;
    let ada = team::person(farebox, EMAIL).await;
    let changed = change(json!({ "allowed_models": null, "allowed_user_ids": [ada], "is_fallback": true })).await;
    assert_eq!((&changed["allowed_user_ids"], &changed["is_fallback"]), (&json!([ada]), &json!(true)));
    until(&routes, key, &chat(&json!({ "provider": { "order": ["alpha"] } })), &[("alpha-chat", "")]).await;
    let rotated = "sk-rotated-zyxwvutsrqponmlkjihg";
    let changed = change(json!({ "key": rotated, "is_fallback": false, "is_byok_only": true, "name": null })).await;
    assert_eq!((&changed["name"], &changed["label"]), (&json!("Lab beta"), &json!("sk-r…jihg")));
    until(&routes, key, &other, &[("beta-other", rotated)]).await;

    // What makes no sense changes nothing, and a key is never repeated.
    for body in [
        json!({ "key": "short" }),
        json!({ "key": "two words are none, either" }),
        json!({ "disabled": true }),
        json!({ "is_fallback": true }),
        json!({ "allowed_models": [] }),
        json!({ "allowed_models": ["lab/nothing"] }),
        json!({ "allowed_api_key_hashes": ["0".repeat(64)] }),
        json!({ "allowed_user_ids": ["nobody"] }),
        json!({ "base_url": "http://169.254.169.254/" }),
        json!({ "name": "x".repeat(81) }),
    ] {
        let told = ask(farebox, &manager, ("PATCH", &one), Some(body.clone()), 400).await;
        let key = body["key"].as_str().unwrap_or("never");
        assert!(!told.to_string().contains(key), "{told}");
    }
    for provider in ["nobody", "sandbox", "http://127.0.0.1/"] {
        ask(farebox, &manager, ("POST", byok), Some(json!({ "provider": provider, "key": OWN })), 400).await;
    }
    until(&routes, key, &other, &[("beta-other", rotated)]).await;

    // Others, and who may not change settings.
    let strange = provisioning(farebox, "eve@example.com", "5", &[]).await;
    assert_eq!(ask(farebox, &strange, ("GET", byok), None, 200).await["total_count"], 0);
    for method in ["GET", "PATCH", "DELETE"] {
        let body = (method == "PATCH").then(|| json!({ "name": "Eve" }));
        ask(farebox, &strange, (method, &one), body, 404).await;
    }
    let becomes = async |role: &str| {
        let query = sqlx::query("update membership set role = $1 where person_id = $2");
        let person: farebox::base::ids::PersonId = ada.parse().expect("an id");
        query.bind(role).bind(person.0).execute(&farebox.pool).await.expect("changed");
    };
    becomes("member").await;
    for (method, path, body) in [
        ("POST", byok, Some(json!({ "provider": "alpha", "key": OWN }))),
        ("PATCH", one.as_str(), Some(json!({ "name": "Mine" }))),
        ("DELETE", one.as_str(), None),
    ] {
        ask(farebox, &manager, (method, path), body, 403).await;
    }
    becomes("owner").await;
    // Nodes hear of it within a second.
    for _ in 0..50 {
        if send(farebox, &manager, reqwest::Method::GET, &one, None).await.status() == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(ask(farebox, &manager, ("DELETE", &one), None, 200).await, json!({ "deleted": true }));
    until(&routes, key, &other, &[("beta-other", "")]).await;
    ask(farebox, &manager, ("GET", &one), None, 404).await;
    ask(farebox, &manager, ("DELETE", &one), None, 404).await;
    let log = "select string_agg(action || ' ' || actor_kind, ', ' order by seq) from audit_entry
        where action like 'provider_key.%'";
    let log = farebox.text(log).await;
    assert!(log.starts_with("provider_key.connected key, provider_key.changed key"), "{log}");
    assert!(log.contains("provider_key.replaced key") && log.ends_with("provider_key.disconnected key"), "{log}");
    let entries = farebox.text("select string_agg(e::text, ' ') from audit_entry e").await;
    assert!(!entries.contains(OWN) && !farebox.log().contains(OWN) && !farebox.log().contains(rotated));
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

/// Two programs at once store one key, and the other is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_programs_that_store_a_key_at_once_one_is_refused() {
    let routes = routes(&[]).await;
    let farebox = &routes.farebox;
    let manager = &provisioning(farebox, EMAIL, "", &[]).await;
    let all = (0..6).map(|n| async move {
        let body = json!({ "provider": "beta", "key": format!("sk-number-{n}-0123456789abcdef") });
        send(farebox, manager, reqwest::Method::POST, "/api/v1/byok", Some(body)).await.status().as_u16()
    });
    let mut told = futures_util::future::join_all(all).await;
    told.sort_unstable();
    assert_eq!(told, [201, 409, 409, 409, 409, 409]);
    assert_eq!(farebox.text("select count(*)::text from provider_key").await, "1");
}

/// What makes something for a program can be asked for again: the same answer, and nothing is made twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_key_and_a_preset_are_made_once_however_often_they_are_asked_for() {
    let routes = routes(&[]).await;
    let farebox = &routes.farebox;
    let manager = &provisioning(farebox, EMAIL, "", &[]).await;
    let asked = async |path: &str, name: &str, body: &Value| {
        let request = farebox.http.post(farebox.url(path)).bearer_auth(&manager.text).header("idempotency-key", name);
        let answer = request.json(body).send().await.expect("an answer");
        let again = answer.headers().contains_key("idempotency-replayed");
        (answer.status().as_u16(), again, answer.text().await.expect("a body"))
    };
    let key = json!({ "provider": "beta", "key": "sk-number-1-0123456789abcdef" });
    let preset = json!({ "model": "lab/chat", "temperature": 0.5 });
    for (path, name, body, status) in
        [("/api/v1/byok", "one", &key, 201), ("/api/v1/presets/poet/chat/completions", "two", &preset, 200)]
    {
        let all = futures_util::future::join_all((0..6).map(|_| asked(path, name, body))).await;
        assert!(all.iter().all(|(found, _, text)| *found == status && *text == all[0].2), "{path}: {all:?}");
        assert_eq!(all.iter().filter(|(_, again, _)| !again).count(), 1, "{path}: one of them is the first");
        assert!(all.iter().all(|(.., text)| !text.contains("sk-number-1-0123456789abcdef")));
        let mut other = body.clone();
        other["model"] = json!("lab/other");
        if path.ends_with("byok") {
            other = json!({ "provider": "alpha", "key": "sk-number-2-0123456789abcdef" });
        }
        assert_eq!(asked(path, name, &other).await.0, 409, "{path}: another body under the same name");
    }
    // The same body for another preset is another request.
    assert_eq!(asked("/api/v1/presets/singer/chat/completions", "two", &preset).await.0, 409);
    let counts =
        "select (select count(*) from provider_key)::text || ' ' || (select count(*) from preset_version)::text";
    assert_eq!(farebox.text(counts).await, "1 1");
    let kept = farebox.text("select string_agg(to_jsonb(f)::text, ' ') from first_answer f").await;
    assert!(!kept.contains("sk-number") && !kept.contains(&hex::encode("sk-number")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_see_what_own_accounts_come_to_and_what_only_calls_tell() {
    let routes = routes(&[]).await;
    let (farebox, key) = (&routes.farebox, &routes.key);
    let mut ada = routes.ada();
    let manager = provisioning(farebox, EMAIL, "", &[]).await;
    connect(&mut ada, &[("api_key", OWN), ("mode", "only")]).await;
    until(&routes, key, &json!({ "model": "lab/other" }), &[("beta-other", OWN)]).await;
    for stream in [true, false, false] {
        let body = json!({ "model": "lab/chat", "stream": stream, "provider": { "order": ["alpha"] } });
        assert_eq!(routes.told(key, body).await.0, 200);
    }
    // One that is cut, from another site.
    routes.upstream.behave("alpha-chat", Behaviour::Ok { prompt: 10, completion: 20, text: "word ".repeat(20) });
    let body = json!({ "model": "lab/chat", "max_tokens": 3, "provider": { "order": ["alpha"] },
        "messages": [{ "role": "user", "content": "Go on." }] });
    let request = farebox.http.post(farebox.url("/api/v1/chat/completions")).bearer_auth(&key.text);
    let answer = request.header("http-referer", "https://shop.example/").json(&body).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    farebox.holds_are_closed().await;

    let query = async |body: Value, status: u16| {
        ask(farebox, &manager, ("POST", "/api/v1/analytics/query"), Some(body), status).await
    };
    let sums: (Decimal, Decimal, Decimal, i64, i64) = sqlx::query_as(
        "select sum(cost), sum(upstream_cost), sum(cost) filter (where is_byok), count(*) filter (where is_byok), count(*)
         from usage",
    )
    .fetch_one(&farebox.pool)
    .await
    .expect("sums");
    let told = query(json!({ "metrics": ["credits_usage", "byok_usage", "total_usage", "request_count"] }), 200).await;
    let row = &told["data"]["data"][0];
    assert_eq!((number(&row["credits_usage"]), number(&row["byok_usage"])), (sums.0.normalize(), sums.1.normalize()));
    assert_eq!(number(&row["total_usage"]), (sums.0 + sums.1).normalize(), "{row}");
    assert!(sums.1 > Decimal::ZERO && sums.3 > 0, "{sums:?}");
    // The same from the calls, with what they alone tell.
    let metrics = json!([
        "credits_usage",
        "byok_usage",
        "total_usage",
        "request_count",
        "byok_request_count",
        "byok_fees",
        "usage_data",
        "avg_latency",
        "p50_latency",
        "p90_latency",
        "p99_latency",
        "avg_throughput",
        "p99_throughput"
    ]);
    let told = query(json!({ "metrics": metrics }), 200).await;
    let calls = &told["data"]["data"][0];
    for name in ["credits_usage", "byok_usage", "total_usage", "request_count"] {
        assert_eq!(calls[name], row[name], "{name}");
    }
    assert_eq!((&calls["byok_request_count"], number(&calls["byok_fees"])), (&json!(sums.3), sums.2.normalize()));
    assert_eq!(calls["usage_data"].to_string(), "0");
    assert!(number(&calls["p50_latency"]) <= number(&calls["p99_latency"]), "{calls}");
    assert!(number(&calls["avg_throughput"]) > Decimal::ZERO, "{calls}");
    let by = |field: &str| json!({ "metrics": ["request_count"], "dimensions": [field] });
    let rows = query(by("finish_reason"), 200).await["data"]["data"].clone();
    let of = |name: Value| {
        let row = rows.as_array().expect("rows").iter().find(|row| row["finish_reason"] == name);
        row.map(|row| row["request_count"].as_i64().unwrap_or_default())
    };
    assert_eq!((of(json!("length")), of(json!("stop"))), (Some(1), Some(sums.4 - 1)), "{rows}");
    let rows = query(by("origin"), 200).await["data"]["data"].clone();
    assert!(rows.as_array().expect("rows").iter().any(|row| row["origin"] == "https://shop.example/"), "{rows}");
    for (field, value) in [("finish_reason", "length"), ("origin", "https://shop.example/")] {
        let filter = json!({ "field": field, "operator": "eq", "value": value });
        let body =
            json!({ "metrics": ["request_count"], "dimensions": ["model"], "granularity": "day", "filters": [filter] });
        let found = query(body, 200).await["data"]["data"].clone();
        assert_eq!((&found[0]["request_count"], &found[0]["model"]), (&json!(1), &json!("lab/chat")), "{found}");
    }
    // Nothing is dropped in silence: what is not told is named, and what would go through too many calls is not begun.
    for (body, status, said) in [
        (json!({ "metrics": ["guardrail_blocks"] }), 400, "`guardrail_blocks` is not known here"),
        (json!({ "metrics": ["request_count"], "dimensions": ["country"] }), 400, "`country` is not known here"),
        (
            json!({ "metrics": ["p90_latency"], "time_range": { "start": "2026-01-01T00:00:00Z", "end": "2026-03-01T00:00:00Z" } }),
            400,
            "at most 31 days",
        ),
    ] {
        let told = query(body, status).await;
        assert!(told["error"]["message"].as_str().is_some_and(|text| text.contains(said)), "{told}");
    }
    sqlx::query("update usage_hour set requests = requests + 100001").execute(&farebox.pool).await.expect("many");
    let told = query(json!({ "metrics": ["p90_latency"] }), 422).await;
    assert!(told["error"]["message"].as_str().is_some_and(|text| text.contains("shorter `time_range`")), "{told}");
    query(json!({ "metrics": ["total_usage"] }), 200).await;
}
