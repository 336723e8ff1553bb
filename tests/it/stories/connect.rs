//! An app gets a key: somebody consents, the app brings the code and shows that it asked for it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::management::{ask, provisioning};
use crate::support::visitor::{Page, Visitor, between, form};
use crate::support::{Farebox, Key, Options, calendar};

const VERIFIER: &str = "a-verifier-of-forty-three-letters-or-more-1234567890";
const CALLBACK: &str = "https://app.example/callback?state=7";

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))
}

fn link(pairs: &[(&str, &str)]) -> String {
    format!("/auth?{}", serde_urlencoded::to_string(pairs).expect("a query"))
}

fn usual() -> String {
    link(&[("callback_url", CALLBACK), ("code_challenge", &challenge()), ("code_challenge_method", "S256")])
}

/// Sends the form of the page as it is, with some fields changed.
async fn consent(visitor: &mut Visitor<'_>, link: &str, changed: &[(&str, &str)]) -> Page {
    let page = visitor.get(link).await;
    assert_eq!(page.status, 200, "{link}: {}", page.body);
    let mut fields = form(&page.body, "/auth");
    let token = fields.iter().find(|(name, _)| name == "csrf_token").map(|(_, token)| token.clone()).expect("a token");
    fields.retain(|(name, _)| name != "csrf_token" && !changed.iter().any(|(other, _)| other == name));
    // Entities of the page's addresses.
    let fields: Vec<(String, String)> =
        fields.into_iter().map(|(name, value)| (name, value.replace("&#38;", "&"))).collect();
    let mut pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    pairs.extend(changed);
    if !changed.iter().any(|(name, _)| *name == "expires") {
        pairs.push(("expires", "30d"));
    }
    visitor.post(&token, "/auth", &pairs).await
}

fn code_in(page: &Page) -> String {
    assert_eq!(page.status, 200, "{}", page.body);
    between(&page.body, "code=", "\"")
}

async fn exchange(farebox: &Farebox, body: Value) -> (u16, Value) {
    let answer = farebox.http.post(farebox.url("/api/v1/auth/keys")).json(&body).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_consents_and_the_app_gets_one_key_with_the_limit_they_saw() {
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    farebox.key("ada@example.com", "5", &[]).await;
    let page = ada.get(&usual()).await;
    for told in ["app.example", "asks for a key", "/callback"] {
        assert!(page.body.contains(told), "the page tells {told}");
    }
    let page = consent(&mut ada, &usual(), &[("name", "My editor"), ("limit", "0.02"), ("reset", "daily")]).await;
    assert!(page.body.contains("https://app.example/callback?state=7&#38;code="), "{}", page.body);
    let code = code_in(&page);
    assert_eq!(code.len(), 64);
    let body =
        json!({ "code": code, "code_verifier": VERIFIER, "code_challenge_method": "S256", "callback_url": CALLBACK });
    let all = join_all((0..10).map(|_| exchange(&farebox, body.clone()))).await;
    let good: Vec<&Value> = all.iter().filter(|(status, _)| *status == 200).map(|(_, body)| body).collect();
    assert_eq!(good.len(), 1, "of ten at once one gets the key: {all:?}");
    assert!(all.iter().all(|(status, _)| matches!(status, 200 | 403)), "{all:?}");
    let key = Key { text: good[0]["key"].as_str().expect("a key").into(), org: String::new(), id: String::new() };
    assert!(good[0]["user_id"].as_str().is_some_and(|id| id.starts_with("usr_")), "{good:?}");
    let shown = farebox.get(&key, "/api/v1/key").await;
    assert_eq!((&shown["data"]["limit"], &shown["data"]["limit_reset"]), (&json!(0.02), &json!("daily")));
    assert!(shown["data"]["expires_at"].is_string(), "{shown}");
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(farebox.chat(&key, "sandbox/penny", "hi", json!({})).await.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 403]);
    // It is an ordinary key of the page, and is stopped there.
    let keys = ada.get("/keys").await;
    assert!(keys.body.contains("My editor"), "{}", keys.body);
    assert!(!keys.body.contains(&key.text));
    let stored = farebox.text("select string_agg(to_jsonb(c)::text, ' ') from auth_code c").await;
    assert!(!stored.contains(&code), "only the digest is stored");
    assert_eq!(farebox.text("select count(*)::text from audit_entry where action = 'key.app_consented'").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_worth_nothing_to_whoever_did_not_ask_for_it_or_comes_late() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let good = |code: &str| json!({ "code": code, "code_verifier": VERIFIER });
    for (change, status) in [
        (json!({ "code_verifier": "another-verifier-of-forty-three-letters-or-more" }), 403),
        (json!({ "code_verifier": challenge() }), 403),
        (json!({ "code_challenge_method": "plain" }), 400),
        (json!({ "callback_url": "https://app.example/other" }), 403),
    ] {
        let code = code_in(&consent(&mut ada, &usual(), &[]).await);
        let mut body = good(&code);
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        assert_eq!(exchange(&farebox, body.clone()).await.0, status, "{body}");
        assert_eq!(exchange(&farebox, good(&code)).await.0, 403, "the first try used it up: {body}");
    }
    let code = code_in(&consent(&mut ada, &usual(), &[]).await);
    assert_eq!(exchange(&farebox, json!({ "code": code })).await.0, 403, "no verifier");
    let code = code_in(&consent(&mut ada, &usual(), &[]).await);
    let late = "update auth_code set expires_at = now() - interval '1 second' where used_at is null";
    sqlx::query(late).execute(&farebox.pool).await.expect("a change");
    let (status, told) = exchange(&farebox, good(&code)).await;
    assert!(
        status == 403 && told["error"]["message"].as_str().is_some_and(|text| text.contains("ten minutes")),
        "{told}"
    );
    for body in [good(""), good("0"), json!({ "code": "0", "more": 1 }), json!({})] {
        assert!(matches!(exchange(&farebox, body).await.0, 400 | 403));
    }
    // Whoever may have no keys any more gets none by an old consent.
    let code = code_in(&consent(&mut ada, &usual(), &[]).await);
    sqlx::query("update membership set role = 'billing'").execute(&farebox.pool).await.expect("a change");
    assert_eq!(exchange(&farebox, good(&code)).await.0, 403);
    assert_eq!(farebox.text("select count(*)::text from api_key").await, "0", "none of these made a key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_lead_nowhere_good_are_refused() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let sha = challenge();
    for pairs in [
        vec![("callback_url", CALLBACK)],
        vec![("callback_url", CALLBACK), ("code_challenge", VERIFIER), ("code_challenge_method", "plain")],
        vec![("callback_url", CALLBACK), ("code_challenge", "short"), ("code_challenge_method", "S256")],
        vec![("callback_url", "http://app.example/"), ("code_challenge", &sha), ("code_challenge_method", "S256")],
        vec![("callback_url", "javascript:alert(1)"), ("code_challenge", &sha), ("code_challenge_method", "S256")],
        vec![("callback_url", "https://a:b@app.example/"), ("code_challenge", &sha), ("code_challenge_method", "S256")],
        vec![("callback_url", "vscode://an.extension/x"), ("code_challenge", &sha), ("code_challenge_method", "S256")],
        vec![],
    ] {
        let page = ada.get(&link(&pairs)).await;
        assert_eq!(page.status, 422, "{pairs:?}");
        assert!(page.body.contains("cannot be used") && !page.body.contains('`'), "{pairs:?}: {}", page.body);
    }
    // Whoever is not signed in is asked for that first, and comes back.
    let stranger = Visitor::new(&farebox).get(&usual()).await;
    assert!(
        stranger.status == 303 && stranger.location.starts_with("/sign-in?next=%2Fauth%3F"),
        "{}",
        stranger.location
    );
    // A form that was sent without a page of ours, or twice, gives nothing.
    let page = ada.get(&usual()).await;
    let fields = form(&page.body, "/auth");
    let value =
        |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let (id, token) = (value("id"), value("csrf_token"));
    let again =
        [("id", id.as_str()), ("callback_url", CALLBACK), ("code_challenge", &sha), ("name", "x"), ("limit", "1")];
    assert_eq!(ada.post("", "/auth", &again).await.status, 403);
    assert_eq!(ada.post(&token, "/auth", &again).await.status, 200);
    let twice = ada.post(&token, "/auth", &again).await;
    assert!(twice.status == 422 && twice.body.contains("was used before"), "{}", twice.body);
    // Mistakes are shown beside their fields.
    let wrong = consent(&mut ada, &usual(), &[("name", ""), ("limit", "-1")]).await;
    assert!(
        wrong.status == 422 && wrong.body.contains("limit-error") && wrong.body.contains("name-error"),
        "{}",
        wrong.body
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apps_that_the_operator_lists_may_do_with_less() {
    let list = "vscode://an.extension, https://old.example".to_owned();
    let env = vec![("FAREBOX_LENIENT_CALLBACKS", list)];
    let farebox = Farebox::with(Options { env, ..Options::default() }).await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let page = consent(&mut ada, &link(&[("callback_url", "vscode://an.extension/openrouter")]), &[]).await;
    assert!(page.body.contains("vscode://an.extension/openrouter?code="), "{}", page.body);
    let code = code_in(&page);
    let (status, answer) = exchange(&farebox, json!({ "code": code })).await;
    assert_eq!(status, 200, "{answer}");
    let plain =
        [("callback_url", "https://old.example/cb"), ("code_challenge", VERIFIER), ("code_challenge_method", "plain")];
    let code = code_in(&consent(&mut ada, &link(&plain), &[]).await);
    let body = json!({ "code": code, "code_verifier": VERIFIER, "code_challenge_method": "plain" });
    assert_eq!(exchange(&farebox, body).await.0, 200);
    assert_eq!(ada.get(&link(&[("callback_url", CALLBACK)])).await.status, 422, "all others as ever");
    // Without a callback the code is shown, and S256 is a must.
    let headless = link(&[("code_challenge", &challenge()), ("code_challenge_method", "S256")]);
    let page = consent(&mut ada, &headless, &[]).await;
    let code = between(&page.body, "<code id=\"code\">", "</code>");
    assert_eq!(exchange(&farebox, json!({ "code": code, "code_verifier": VERIFIER })).await.0, 200, "{}", page.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_asks_a_code_for_an_app_within_its_own_budget() {
    let farebox = Farebox::start().await;
    let manager =
        provisioning(&farebox, "ada@example.com", "5", &["--limit", "0.01", "--expires", "2100-01-01T00:00:00Z"]).await;
    let plain = farebox.key("ada@example.com", "", &[]).await;
    let wish = json!({ "callback_url": CALLBACK, "code_challenge": challenge(), "code_challenge_method": "S256",
        "key_label": "Their app", "limit": 3, "usage_limit_type": "weekly" });
    let path = "/api/v1/auth/keys/code";
    let told = ask(&farebox, &plain, ("POST", path), Some(wish.clone()), 403).await;
    assert!(told["error"]["message"].as_str().is_some_and(|text| text.contains("provisioning")), "{told}");
    let made = ask(&farebox, &manager, ("POST", path), Some(wish.clone()), 200).await;
    assert!(made["data"]["app_id"].is_u64() && made["data"]["created_at"].is_string(), "{made}");
    let body = json!({ "code": made["data"]["id"], "code_verifier": VERIFIER });
    let (status, answer) = exchange(&farebox, body).await;
    assert_eq!(status, 200, "{answer}");
    let key = Key { text: answer["key"].as_str().expect("a key").into(), ..manager.clone() };
    let listed = ask(&farebox, &manager, ("GET", "/api/v1/keys"), None, 200).await;
    assert_eq!((&listed["data"][0]["name"], &listed["data"][0]["limit"]), (&json!("Their app"), &json!(3)));
    assert_eq!(listed["data"][0]["expires_at"], "2100-01-01T00:00:00Z");
    let call = async || farebox.chat(&key, "sandbox/penny", "hi", json!({})).await.status().as_u16();
    assert_eq!((call().await, call().await), (200, 403), "the budget of the provisioning key");
    let beyond =
        json!({ "callback_url": CALLBACK, "code_challenge": challenge(), "expires_at": "2100-01-02T00:00:00Z" });
    ask(&farebox, &manager, ("POST", path), Some(beyond), 403).await;
    for (field, value) in
        [("callback_url", json!("http://app.example/")), ("code_challenge", json!("x")), ("limt", json!(1))]
    {
        let mut wrong = wish.clone();
        wrong[field] = value;
        let answer = farebox.post(&manager, path, &wrong).await;
        assert!(matches!(answer.status().as_u16(), 400 | 403), "{field}");
    }
    // Deleted before the exchange, the provisioning key gives nothing any more.
    let made = ask(&farebox, &manager, ("POST", path), Some(wish), 200).await;
    sqlx::query("update api_key set deleted_at = now() where kind = 'provisioning'")
        .execute(&farebox.pool)
        .await
        .expect("a change");
    assert_eq!(exchange(&farebox, json!({ "code": made["data"]["id"], "code_verifier": VERIFIER })).await.0, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_named_as_asked_and_a_repetition_gives_the_same_one() {
    let farebox = Farebox::start().await;
    let manager = provisioning(&farebox, "ada@example.com", "", &[]).await;
    let path = "/api/v1/auth/keys/code";
    let wish = |more: Value| {
        let mut wish = json!({ "callback_url": CALLBACK, "code_challenge": challenge() });
        wish.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        wish
    };
    for (label, status) in [("x".repeat(100), 200), ("x".repeat(101), 400), (" ".into(), 400), ("a\u{7}".into(), 400)] {
        let told = ask(&farebox, &manager, ("POST", path), Some(wish(json!({ "key_label": label }))), status).await;
        let named = told["error"]["message"].as_str().is_some_and(|text| text.contains("key_label"));
        assert_eq!(named, status == 400, "{told}");
    }
    let told = json!({ "spawn_agent": "an-agent", "spawn_cloud": "somewhere" });
    ask(&farebox, &manager, ("POST", path), Some(wish(told)), 200).await;

    let send = |name: &'static str, body: Value| {
        let request = farebox.http.post(farebox.url(path)).bearer_auth(&manager.text).header("idempotency-key", name);
        async move {
            let answer = request.json(&body).send().await.expect("an answer");
            let again = answer.headers().contains_key("idempotency-replayed");
            (answer.status().as_u16(), again, answer.text().await.expect("a body"))
        }
    };
    let once = wish(json!({ "key_label": "Once" }));
    let all = futures_util::future::join_all((0..8).map(|_| send("one", once.clone()))).await;
    assert!(all.iter().all(|(status, _, text)| *status == 200 && *text == all[0].2), "{all:?}");
    assert_eq!(all.iter().filter(|(_, again, _)| !again).count(), 1, "one of them is the first");
    assert_eq!(send("one", wish(json!({ "key_label": "Other" }))).await.0, 409);
    let code: Value = serde_json::from_str(&all[0].2).expect("JSON");
    let body = json!({ "code": code["data"]["id"], "code_verifier": VERIFIER });
    assert_eq!(exchange(&farebox, body.clone()).await.0, 200);
    assert_eq!(exchange(&farebox, body).await.0, 403, "one code, one key");
    assert!(send("one", once).await.1, "the answer stays the same, also when the code is used");
}

/// What a key hears of its organization: the status of `/credits`, and of a call that another key made.
async fn hears(farebox: &Farebox, key: &Key, others: &str) -> (u16, u16) {
    let ask = async |path: String| {
        let request = farebox.http.get(farebox.url(&path)).bearer_auth(&key.text);
        request.send().await.expect("an answer").status().as_u16()
    };
    (ask("/api/v1/credits".into()).await, ask(format!("/api/v1/generation?id={others}")).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_other_hands_sees_neither_the_balance_nor_calls_of_others() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let own = farebox.key("ada@example.com", "10", &[]).await;
    let text = |text: &str| Key { text: text.to_owned(), ..own.clone() };
    let call = async |key: &Key| {
        let answer = farebox.chat(key, "sandbox/echo", "hi", json!({})).await;
        assert_eq!(answer.status(), 200);
        answer.headers()["x-generation-id"].to_str().expect("text").to_owned()
    };
    // Given by a link, connected by consent, issued by a program.
    let id = farebox::base::ids::KeyId::fresh().to_string();
    let given = ada.submit("/keys/give", "/keys/give", &[("id", &id), ("name", "For Noor")]).await;
    let link = between(&given.body, "<code id=\"link\">", "<");
    let token = link.split_once("token=").map(|(_, token)| token.to_owned()).expect("a token");
    let mut friend = Visitor::new(&farebox);
    let claimed = friend.submit("/key", "/claim", &[("token", &token)]).await;
    let friends = text(&between(&claimed.body, "<code id=\"key\">", "<"));
    let code = code_in(&consent(&mut ada, &usual(), &[]).await);
    let (status, made) = exchange(&farebox, json!({ "code": code, "code_verifier": VERIFIER })).await;
    assert_eq!(status, 200, "{made}");
    let apps = text(made["key"].as_str().expect("a key"));
    let manager = provisioning(&farebox, "ada@example.com", "", &["--may-call"]).await;
    let (issued, _) = super::management::issue(&farebox, &manager, json!({ "name": "issued" })).await;
    let caller = provisioning(&farebox, "ada@example.com", "", &["--may-call"]).await;
    sqlx::query("update api_key set can_manage = false where digest = $1")
        .bind(farebox::base::secret::Digest::of(&caller.text).as_bytes().to_vec())
        .execute(&farebox.pool)
        .await
        .expect("a change");

    let of_own = call(&own).await;
    for (key, seen) in [
        (&own, (200, 200)),
        (&manager, (200, 200)),
        (&caller, (200, 200)),
        (&friends, (403, 404)),
        (&apps, (403, 404)),
        (&issued, (403, 404)),
    ] {
        assert_eq!(hears(&farebox, key, &of_own).await, seen, "{}", key.text.len());
        let mine = call(key).await;
        assert_eq!(hears(&farebox, key, &mine).await.1, 200, "its own call");
        let presets = farebox.http.get(farebox.url("/api/v1/presets")).bearer_auth(&key.text).send().await;
        assert_eq!(presets.expect("an answer").status(), seen.0, "what presets say is the organization's own");
        let shown = farebox.get(key, "/api/v1/key").await;
        assert!(shown["data"]["usage"].is_number(), "{shown}");
    }
    // Where the organization says so, only keys that manage keys see the balance.
    let quiet: Vec<_> = super::privacy::USUAL.iter().filter(|(name, _)| *name != "keys_see_balance").copied().collect();
    super::privacy::set(&mut ada, &quiet).await;
    for (key, status) in [(&own, 403), (&caller, 403), (&friends, 403), (&apps, 403), (&issued, 403), (&manager, 200)] {
        assert_eq!(hears(&farebox, key, &of_own).await.0, status);
    }
    super::privacy::set(&mut ada, super::privacy::USUAL).await;
    assert_eq!(hears(&farebox, &own, &of_own).await.0, 200);
    assert_eq!(hears(&farebox, &friends, &of_own).await.0, 403);
    let log = "select count(*)::text from audit_entry where action = 'settings.privacy_changed' and after::text like '%keys_see_balance%'";
    assert_eq!(farebox.text(log).await, "2");
    farebox.holds_are_closed().await;
}
