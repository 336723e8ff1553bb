//! A program with a provisioning key: what it may, what it may not, and that minting keys multiplies nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::calendar;
use crate::support::document;
use crate::support::farebox::{Farebox, Key, Options};
use crate::support::size::scale;

pub async fn send(farebox: &Farebox, key: &Key, method: Method, path: &str, body: Option<Value>) -> Response {
    let request = farebox.http.request(method, farebox.url(path)).bearer_auth(&key.text);
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    request.send().await.expect("an answer")
}

/// The answer, which must have this status.
pub async fn ask(
    farebox: &Farebox,
    key: &Key,
    (method, path): (&str, &str),
    body: Option<Value>,
    status: u16,
) -> Value {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let answer = send(farebox, key, method.clone(), path, body.clone()).await;
    let found = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    assert_eq!(found, status, "{method} {path} {body:?}: {text}");
    let answer = serde_json::from_str(&text).expect("JSON");
    let flaws = document::answer(method.as_str(), path, status, &answer);
    assert!(flaws.is_empty(), "{method} {path} {body:?} {status}: {flaws:#?}\n{answer}");
    answer
}

pub async fn provisioning(farebox: &Farebox, email: &str, credits: &str, more: &[&str]) -> Key {
    let mut arguments = vec!["--provisioning"];
    arguments.extend(more);
    farebox.key(email, credits, &arguments).await
}

/// A key that this one issues.
pub async fn issue(farebox: &Farebox, by: &Key, body: Value) -> (Key, String) {
    let made = ask(farebox, by, ("POST", "/api/v1/keys"), Some(body), 201).await;
    let text = made["key"].as_str().expect("a key").to_owned();
    let hash = made["data"]["hash"].as_str().expect("a hash").to_owned();
    (Key { text, org: by.org.clone(), id: String::new() }, hash)
}

async fn second_node(first: &Farebox) -> Farebox {
    Farebox::with(Options { database_url: Some(first.database_url.clone()), ..Options::default() }).await
}

async fn calls(farebox: &Farebox, key: &Key) -> u16 {
    farebox.chat(key, "sandbox/penny", "one cent", json!({})).await.status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_manages_the_keys_that_it_issued_and_no_others() {
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let manager = provisioning(&farebox, "ada@example.com", "10", &[]).await;
    let by_hand = farebox.key("ada@example.com", "", &[]).await;
    let body = json!({ "name": " Blog ", "limit": 2.5, "limit_reset": "monthly", "include_byok_in_limit": true });
    let made = ask(&farebox, &manager, ("POST", "/api/v1/keys"), Some(body), 201).await;
    let (data, key) = (&made["data"], made["key"].as_str().expect("a key"));
    assert_eq!(
        (&data["name"], &data["limit"], &data["limit_reset"], &data["include_byok_in_limit"], &data["disabled"]),
        (&json!("Blog"), &json!(2.5), &json!("monthly"), &json!(true), &json!(false))
    );
    assert_eq!(data["limits"], json!({ "total": null, "daily": null, "weekly": null, "monthly": 2.5 }));
    assert_eq!((&data["updated_at"], &data["expires_at"]), (&Value::Null, &Value::Null));
    let hash = data["hash"].as_str().expect("a hash");
    assert_eq!(hash, farebox::base::secret::Digest::of(key).to_hex(), "the SHA-256 of the whole key");
    let issued = Key { text: key.to_owned(), ..manager.clone() };
    assert_eq!(calls(&farebox, &issued).await, 200);

    let path = format!("/v1/keys/{hash}");
    let shown = ask(&farebox, &manager, ("GET", &path), None, 200).await;
    assert_eq!((&shown["data"]["usage"], &shown["data"]["limit_remaining"]), (&json!(0.01), &json!(2.49)));
    assert!(shown["data"]["last_used_at"].is_string() && shown.get("key").is_none(), "{shown}");
    let listed = ask(&farebox, &manager, ("GET", "/api/v1/keys"), None, 200).await;
    assert_eq!(listed["data"], json!([shown["data"]]), "not itself, and not what people made");

    let changed = json!({ "name": "Shop", "limit": 0.01, "limit_reset": "daily", "allowed_models": ["sandbox/penny"] });
    let changed = ask(&farebox, &manager, ("PATCH", &path), Some(changed), 200).await;
    assert_eq!(
        (&changed["data"]["name"], &changed["data"]["limits"]["daily"], &changed["data"]["limits"]["monthly"]),
        (&json!("Shop"), &json!(0.01), &Value::Null)
    );
    assert!(changed["data"]["updated_at"].is_string(), "{changed}");
    assert_eq!(calls(&farebox, &issued).await, 403, "its day is used up");
    ask(&farebox, &manager, ("PATCH", &path), Some(json!({ "limit": null })), 200).await;
    assert_eq!(calls(&farebox, &issued).await, 200);
    ask(&farebox, &manager, ("PATCH", &path), Some(json!({ "disabled": true })), 200).await;
    for (query, keys) in [("", 0), ("?include_disabled=true", 1), ("?include_disabled=true&offset=1", 0)] {
        let listed = ask(&farebox, &manager, ("GET", &format!("/api/v1/keys{query}")), None, 200).await;
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(keys), "{query}");
    }
    ask(&farebox, &manager, ("PATCH", &path), Some(json!({ "disabled": false })), 200).await;
    assert_eq!(ask(&farebox, &manager, ("DELETE", &path), None, 200).await, json!({ "deleted": true }));
    ask(&farebox, &manager, ("DELETE", &path), None, 404).await;
    assert_eq!(calls(&farebox, &issued).await, 401);

    // What it did not issue is as if it were not there: its own, one of people, one of others.
    let other = provisioning(&farebox, "eve@example.com", "1", &[]).await;
    let (_, theirs) = issue(&farebox, &other, json!({ "name": "theirs" })).await;
    let digest = |key: &Key| farebox::base::secret::Digest::of(&key.text).to_hex();
    let mut answers = BTreeSet::new();
    for hash in [theirs, digest(&manager), digest(&by_hand), "0".repeat(64), "x".into()] {
        for (method, body) in [("GET", None), ("PATCH", Some(json!({ "name": "mine" }))), ("DELETE", None)] {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let answer = send(&farebox, &manager, method, &format!("/api/v1/keys/{hash}"), body).await;
            assert_eq!(answer.status(), 404);
            answers.insert(answer.text().await.expect("a body"));
        }
    }
    assert_eq!(answers.len(), 1, "one answer for all of them: {answers:?}");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_known_or_makes_no_sense_is_named_and_changes_nothing() {
    let farebox = Farebox::start().await;
    let manager = provisioning(&farebox, "ada@example.com", "", &[]).await;
    for (body, named) in [
        (json!({ "name": "a", "limt": 1 }), "limt"),
        (json!({ "name": "a", "org_id": "org_1" }), "org_id"),
        (json!({ "name": "a", "issued_by": null }), "issued_by"),
        (json!({}), "name"),
        (json!({ "name": " " }), "name"),
        (json!({ "name": 1 }), "invalid type"),
        (json!({ "name": "a", "limit": -1 }), "from 0"),
        (json!({ "name": "a", "limit": "1" }), "amount"),
        (json!({ "name": "a", "limit_reset": "hourly" }), "hourly"),
        (json!({ "name": "a", "allowed_models": [] }), "allowed_models"),
        (json!({ "name": "a", "allowed_models": ["GPT"] }), "GPT"),
        (json!({ "name": "a", "requests_per_minute": 0 }), "requests_per_minute"),
        (json!([]), "not a JSON object"),
        (json!(["a", null]), "not a JSON object"),
    ] {
        let told = ask(&farebox, &manager, ("POST", "/api/v1/keys"), Some(body.clone()), 400).await;
        let message = told["error"]["message"].as_str().expect("a message");
        assert!(message.contains(named), "{body}: {message}");
    }
    for query in ["offset=-1", "offset=x", "offset=1000001", "include_disabled=maybe"] {
        ask(&farebox, &manager, ("GET", &format!("/api/v1/keys?{query}")), None, 400).await;
    }
    ask(&farebox, &manager, ("GET", "/api/v1/keys?workspace_id=1"), None, 404).await;
    let long = json!({ "name": "a", "creator_user_id": "x".repeat(70_000) });
    ask(&farebox, &manager, ("POST", "/api/v1/keys"), Some(long), 413).await;
    assert_eq!(farebox.text("select count(*)::text from api_key where kind = 'inference'").await, "0");

    // Limits of several windows are not lost by a guess.
    let windows = json!({ "name": "a", "limits": { "daily": 1, "monthly": 20 } });
    let (_, hash) = issue(&farebox, &manager, windows).await;
    let path = format!("/api/v1/keys/{hash}");
    ask(&farebox, &manager, ("PATCH", &path), Some(json!({ "limit": 100 })), 409).await;
    let anew = json!({ "limits": { "daily": 2, "monthly": 20 } });
    let changed = ask(&farebox, &manager, ("PATCH", &path), Some(anew), 200).await;
    assert_eq!(changed["data"]["limits"]["daily"], json!(2));
    assert_eq!((&changed["data"]["limit"], &changed["data"]["limit_reset"]), (&json!(2), &json!("daily")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_key_issues_may_never_do_more_than_itself() {
    let farebox = Farebox::start().await;
    let second = second_node(&farebox).await;
    let manager = provisioning(&farebox, "ada@example.com", "10", &["--expires", "2100-01-01T00:00:00Z"]).await;
    for (body, status, word) in [
        (json!({ "name": "a", "expires_at": "2100-01-01T00:00:01Z" }), 403, "later"),
        (json!({ "name": "a", "expires_at": "2020-01-01T00:00:00Z" }), 403, "future"),
    ] {
        let told = ask(&farebox, &manager, ("POST", "/api/v1/keys"), Some(body), status).await;
        assert!(told["error"]["message"].as_str().is_some_and(|message| message.contains(word)), "{told}");
    }
    let made = ask(&farebox, &manager, ("POST", "/api/v1/keys"), Some(json!({ "name": "a" })), 201).await;
    assert_eq!(made["data"]["expires_at"], "2100-01-01T00:00:00Z", "it ends with the key that issued it");
    let (issued, _) = issue(&farebox, &manager, json!({ "name": "b" })).await;
    assert_eq!((calls(&farebox, &issued).await, calls(&second, &issued).await), (200, 200));

    // Stopped, it stops what it issued, on every node within a second; let go on, that goes on too.
    for (statement, status) in [
        ("update api_key set disabled_at = now() where kind = 'provisioning'", 403),
        ("update api_key set disabled_at = null where kind = 'provisioning'", 200),
        ("update api_key set expires_at = now() - interval '1 second' where kind = 'provisioning'", 401),
        ("update api_key set expires_at = '2100-01-01' where kind = 'provisioning'", 200),
        ("update api_key set allowed_models = '{sandbox/echo}' where kind = 'provisioning'", 403),
        ("update api_key set allowed_models = null where kind = 'provisioning'", 200),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&farebox.pool).await.expect("a change");
        for node in [&farebox, &second] {
            becomes(node, &issued, status).await;
        }
    }
    farebox.books_are_clean().await;
}

/// A call ends with this status within a second.
async fn becomes(node: &Farebox, key: &Key, status: u16) {
    let deadline = Instant::now() + crate::support::size::heard_within();
    loop {
        let found = calls(node, key).await;
        if found == status {
            return;
        }
        assert!(Instant::now() < deadline, "{found}, not {status}, in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provisioning_key_calls_models_only_if_it_may() {
    let farebox = Farebox::start().await;
    let manager = provisioning(&farebox, "ada@example.com", "10", &[]).await;
    assert_eq!(calls(&farebox, &manager).await, 403);
    let both = provisioning(&farebox, "ada@example.com", "", &["--may-call", "--limit", "0.02"]).await;
    assert_eq!(calls(&farebox, &both).await, 200);
    let (issued, _) = issue(&farebox, &both, json!({ "name": "below" })).await;
    assert_eq!(calls(&farebox, &issued).await, 200);
    let refused = farebox.chat(&issued, "sandbox/penny", "one cent", json!({})).await;
    assert_eq!(refused.status(), 403);
    let told: Value = refused.json().await.expect("JSON");
    let message = told["error"]["message"].as_str().expect("a message");
    assert!(message.starts_with("Key limit exceeded (total limit"), "{message}");
    assert!(message.contains("provisioning key"), "it says whose limit: {message}");
    assert_eq!(told["error"]["metadata"]["limit_source"], "provisioning_key_limit");
    // A key that only calls asks nothing of others.
    let plain = farebox.key("ada@example.com", "", &[]).await;
    for path in ["/api/v1/keys", "/api/v1/activity", "/api/v1/organization/members"] {
        ask(&farebox, &plain, ("GET", path), None, 403).await;
    }
    for path in ["/api/v1/key", "/api/v1/credits"] {
        ask(&farebox, &manager, ("GET", path), None, 200).await;
    }
}

/// Callers at once, each of whom pays one cent a call, over many keys of one budget.
const CALLERS: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delegated_budget_is_not_multiplied_by_minting_keys() {
    let first = Farebox::start().await;
    let second = second_node(&first).await;
    let manager = provisioning(&first, "ada@example.com", "50", &["--limit", "1"]).await;
    let keys = scale(20, 100);
    let minted = join_all((0..keys).map(|number| {
        let node = if number % 2 == 0 { &first } else { &second };
        let manager = &manager;
        async move { issue(node, manager, json!({ "name": format!("friend {number}"), "limit": 1 })).await.0 }
    }))
    .await;
    let storm = async |round: usize| {
        let all = (0..CALLERS).map(|number| {
            let node = if (number + round).is_multiple_of(2) { &first } else { &second };
            let key = &minted[number % minted.len()];
            async move {
                let more = if number % 3 == 0 { json!({ "stream": true }) } else { json!({}) };
                let answer = node.chat(key, "sandbox/penny", "one cent", more).await;
                let status = answer.status().as_u16();
                let body = answer.text().await.expect("a body");
                let refused = status == 403 && body.contains("Key limit exceeded (total limit");
                assert!(status == 200 || refused, "{status}: {body}");
                status
            }
        });
        join_all(all).await.into_iter().filter(|status| *status == 200).count()
    };
    let paid = storm(0).await;
    assert_eq!(paid, 100, "a dollar is a hundred cents, however many keys share it");
    let spent = "select spent_total::text from meter where kind = 'provisioning'";
    first.holds_are_closed().await;
    assert_eq!(first.text(spent).await, "1.000000000000");

    // Raised and lowered while calls run: never past the highest, and what is spent stays spent.
    let edit = async {
        for limit in ["2.50", "1.70", "3"] {
            tokio::time::sleep(Duration::from_millis(150)).await;
            let statement = "update meter set limit_total = $1::numeric where kind = 'provisioning'";
            sqlx::query(statement).bind(limit).execute(&first.pool).await.expect("a change");
        }
    };
    let (more, ()) = tokio::join!(storm(1), edit);
    let last = storm(2).await;
    first.holds_are_closed().await;
    assert_eq!(paid + more + last, 300, "{more} and {last}: exactly the last limit");
    assert_eq!(first.text(spent).await, "3.000000000000");
    let sum = "select sum(spent_total)::text from meter where kind = 'key'";
    assert_eq!(first.text(sum).await, "3.000000000000", "the issued keys spent what their budget spent");
    first.books_are_clean().await;
}

async fn idempotent(farebox: &Farebox, key: &Key, name: &str, body: &Value) -> (u16, bool, String) {
    let request = farebox.http.post(farebox.url("/api/v1/keys")).bearer_auth(&key.text);
    let answer = request.header("idempotency-key", name).json(body).send().await.expect("an answer");
    let again = answer.headers().contains_key("idempotency-replayed");
    (answer.status().as_u16(), again, answer.text().await.expect("a body"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_again_gives_the_first_answer_and_makes_one_key() {
    let first = Farebox::start().await;
    let second = second_node(&first).await;
    let manager = provisioning(&first, "ada@example.com", "", &[]).await;
    let body = json!({ "name": "once", "limit": 1 });
    let made = idempotent(&first, &manager, "a-1", &body).await;
    assert_eq!((made.0, made.1), (201, false), "{}", made.2);
    let again = idempotent(&second, &manager, "a-1", &body).await;
    assert_eq!((again.0, again.1, &again.2), (201, true, &made.2), "the shown key too");
    let shown: Value = serde_json::from_str(&made.2).expect("JSON");
    let key = shown["key"].as_str().expect("a key");
    assert_eq!(idempotent(&first, &manager, "a-1", &json!({ "name": "other" })).await.0, 409);
    assert_eq!(idempotent(&first, &manager, "", &body).await.0, 400);
    assert_eq!(idempotent(&first, &manager, &"x".repeat(256), &body).await.0, 400);
    // Another key's requests are its own.
    let other = provisioning(&first, "ada@example.com", "", &[]).await;
    assert_ne!(idempotent(&first, &other, "a-1", &body).await.2, made.2);
    // A request that made nothing leaves its name free.
    assert_eq!(idempotent(&first, &manager, "a-2", &json!({ "name": "a", "creator_user_id": "usr_0" })).await.0, 404);
    assert_eq!(idempotent(&first, &manager, "a-2", &body).await.0, 201);

    // Many at once, on two nodes: one key.
    let before = first.text("select count(*)::text from api_key").await;
    let all = join_all((0..20).map(|number| {
        let node = if number % 2 == 0 { &first } else { &second };
        idempotent(node, &manager, "at-once", &body)
    }))
    .await;
    let answers: BTreeSet<&String> = all.iter().map(|(_, _, answer)| answer).collect();
    assert_eq!(answers.len(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|(status, again, _)| *status == 201 && !again).count(), 1, "{all:?}");
    let after = first.text("select count(*)::text from api_key").await;
    assert_eq!(after.parse::<i64>().ok(), before.parse::<i64>().ok().map(|count| count + 1));

    // What is kept tells nobody the key; a day later nothing is kept.
    let kept = first.text("select string_agg(to_jsonb(f)::text, ' ') from first_answer f").await;
    assert!(!kept.contains(key) && !kept.contains(&hex::encode(key)), "the key is readable in the database");
    sqlx::query("update first_answer set created_at = now() - interval '25 hours'")
        .execute(&first.pool)
        .await
        .expect("a change");
    let later = idempotent(&first, &manager, "a-1", &body).await;
    assert_eq!((later.0, later.1), (201, false));
    assert_ne!(later.2, made.2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_provisioning_key_deletes_what_it_issued_at_the_same_moment() {
    let farebox = Farebox::start().await;
    let manager = provisioning(&farebox, "ada@example.com", "5", &[]).await;
    let (issued, hash) = issue(&farebox, &manager, json!({ "name": "below" })).await;
    assert_eq!(calls(&farebox, &issued).await, 200);
    // Keys are minted while it is deleted: none of them outlives it.
    let minting = join_all((0..20).map(|number| {
        let body = json!({ "name": format!("late {number}") });
        send(&farebox, &manager, Method::POST, "/api/v1/keys", Some(body))
    }));
    let deleting = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut tx = farebox.pool.begin().await.expect("a transaction");
        let origin = farebox::base::Origin::here();
        let by = farebox::keys::By { actor: farebox::audit::Actor::Operator, name: "", origin: &origin };
        let (org, id) = (manager.org.parse().expect("an id"), manager.id.parse().expect("an id"));
        assert!(farebox::keys::delete(&mut tx, &by, org, id).await.expect("deleted"));
        tx.commit().await.expect("committed");
    };
    let (_, ()) = tokio::join!(minting, deleting);
    becomes(&farebox, &issued, 401).await;
    assert_eq!(farebox.text("select count(*)::text from api_key where deleted_at is null").await, "0");
    ask(&farebox, &manager, ("GET", &format!("/api/v1/keys/{hash}")), None, 401).await;
    let log = "select count(*)::text from audit_entry where action = 'key.deleted' and after::text like '%issued%'";
    assert_eq!(farebox.text(log).await, "1", "the log says how many went with it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_many_keys_is_paged_without_gaps() {
    let farebox = Farebox::start().await;
    let manager = provisioning(&farebox, "ada@example.com", "", &[]).await;
    for part in 0..45 {
        join_all((0..5).map(|number| issue(&farebox, &manager, json!({ "name": format!("{part} {number}") })))).await;
    }
    let mut seen = BTreeSet::new();
    let mut sizes = Vec::new();
    for offset in [0, 100, 200, 300] {
        let page = ask(&farebox, &manager, ("GET", &format!("/api/v1/keys?offset={offset}")), None, 200).await;
        let hashes: Vec<String> =
            page["data"].as_array().expect("a list").iter().map(|key| key["hash"].to_string()).collect();
        sizes.push(hashes.len());
        seen.extend(hashes);
    }
    assert_eq!((sizes, seen.len()), (vec![100, 100, 25, 0], 225));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_runs_wild_is_slowed() {
    let env = vec![("FAREBOX_MANAGEMENT_PER_MINUTE", "5".to_owned())];
    let farebox = Farebox::with(Options { env, ..Options::default() }).await;
    let manager = provisioning(&farebox, "ada@example.com", "", &[]).await;
    let mut statuses = Vec::new();
    for _ in 0..7 {
        let answer = send(&farebox, &manager, Method::GET, "/api/v1/keys", None).await;
        if answer.status() == 429 {
            let wait: u64 = answer.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
            assert!((1..=13).contains(&wait), "{wait}");
        }
        let status = answer.status().as_u16();
        let flaws = document::answer("get", "/api/v1/keys", status, &answer.json().await.expect("JSON"));
        assert!(flaws.is_empty(), "{status}: {flaws:?}");
        statuses.push(status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_changes_at_once_none_is_undone_by_the_other() {
    let first = Farebox::start().await;
    let second = second_node(&first).await;
    let manager = provisioning(&first, "ada@example.com", "", &[]).await;
    for round in 0..scale(15, 60) {
        let (_, hash) =
            issue(&first, &manager, json!({ "name": format!("{round}"), "limit": 100, "limit_reset": "monthly" }))
                .await;
        let path = format!("/api/v1/keys/{hash}");
        let change = |node, body| send(node, &manager, Method::PATCH, &path, Some(body));
        // Each says one of two things that stand in one place: whoever comes second keeps what the first one said.
        let (lower, window, name) = tokio::join!(
            change(&first, json!({ "limit": 1 })),
            change(&second, json!({ "limit_reset": "daily" })),
            change(&second, json!({ "name": "Renamed" })),
        );
        for answer in [lower, window, name] {
            assert_eq!(answer.status(), 200);
        }
        let shown = ask(&first, &manager, ("GET", &path), None, 200).await;
        let data = &shown["data"];
        assert_eq!(
            (&data["limit"], &data["limit_reset"], &data["name"]),
            (&json!(1), &json!("daily"), &json!("Renamed")),
            "round {round}: the lower limit holds, each day"
        );
    }
}
