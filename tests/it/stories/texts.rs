//! Stored texts when something goes wrong: processes that are killed before a text is written, and more texts than find a
//! place. The money is as ever, and no text stands there without its call.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::privacy::{PAGE, USUAL, says, set, stored};
use crate::support::routes::Routes;
use crate::support::{Farebox, Key, Options, scale};

/// Texts that wait in one process.
const PLACES: usize = 128;

/// The organization of Ada stores texts, and calls know it.
async fn storing() -> Routes {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    set(&mut ada, &[USUAL, &[("log_texts", "yes")]].concat()).await;
    drop(ada);
    for _ in 0..100 {
        let told = routes.told(&routes.key, says("is it on", false)).await.2;
        if told["usage"]["cost_details"].get("data_discount").is_some() {
            stored(&routes.farebox, 1).await;
            return routes;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing is stored\n{}", routes.farebox.log());
}

async fn again(routes: &Routes) -> Farebox {
    Farebox::with(Options { database_url: Some(routes.farebox.database_url.clone()), ..Options::default() }).await
}

/// No text without its call, every call paid for by the journal, nothing held.
async fn is_whole(farebox: &Farebox) {
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
    let orphans = "select count(*)::text from call_text t
        where not exists (select from usage u where u.org_id = t.org_id and u.id = t.call_id)";
    assert_eq!(farebox.text(orphans).await, "0");
    let unpaid = "select (coalesce((select sum(cost) from usage), 0)
        = coalesce((select sum(amount) from transfer where code = 'usage'), 0))::text";
    assert_eq!(farebox.text(unpaid).await, "true");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_between_settlement_and_text_loses_the_text_and_no_money() {
    let mut routes = storing().await;
    // Nobody can write a text now; the settlement has nothing to do with it.
    let mut lock = routes.farebox.pool.begin().await.expect("a transaction");
    sqlx::query("lock table call_text in access exclusive mode").execute(&mut *lock).await.expect("locked");
    let before: i64 = count(&routes.farebox, "select count(*) from usage").await;
    let (status, _, told) = routes.told(&routes.key, says("what became of me", false)).await;
    assert_eq!(status, 200, "{told}");
    assert!(told["usage"]["cost_details"].get("data_discount").is_some(), "{told}");
    assert_eq!(count(&routes.farebox, "select count(*) from usage").await, before + 1, "it is settled");
    routes.farebox.kill();
    lock.rollback().await.expect("unlocked");
    let farebox = again(&routes).await;
    is_whole(&farebox).await;
    assert_eq!(count(&farebox, "select count(*) from usage").await, before + 1, "and once");
    // Postgres may still have written what it had been told; anything else is lost with the process.
    let texts = count(&farebox, "select count(*) from call_text").await;
    assert!((1..=2).contains(&texts), "{texts}");
    // The next one is stored as ever.
    let body = says("I am another", false);
    assert_eq!(farebox.post(&routes.key, "/api/v1/chat/completions", &body).await.status(), 200);
    stored(&farebox, texts + 1).await;
    is_whole(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_at_any_moment_leave_no_text_without_its_call() {
    let mut routes = storing().await;
    let url = routes.farebox.database_url.clone();
    routes.farebox.kill();
    // Holds of those who died end soon.
    let env = vec![("FAREBOX_HOLD_TTL_SECONDS", "2".to_owned()), ("FAREBOX_SWEEP_SECONDS", "1".to_owned())];
    let options = || Options { database_url: Some(url.clone()), env: env.clone(), ..Options::default() };
    for round in 0..scale(3_u64, 25) {
        let mut farebox = Farebox::with(options()).await;
        let (http, address) = (farebox.http.clone(), farebox.url("/api/v1/chat/completions"));
        let calls = (0..24).map(|n| {
            let stream = n % 2 == 0;
            http.post(&address).bearer_auth(&routes.key.text).json(&says(&format!("{round} and {n}"), stream)).send()
        });
        // Some are settled by then, some not, and few of their texts are written.
        let running = tokio::spawn(join_all(calls.collect::<Vec<_>>()));
        tokio::time::sleep(Duration::from_millis(20 + 37 * (round % 7))).await;
        farebox.kill();
        let _ = running.await;
    }
    let last = Farebox::with(options()).await;
    sqlx::query("update hold set expires_at = now()").execute(&last.pool).await.expect("due");
    is_whole(&last).await;
}

async fn count(farebox: &Farebox, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&farebox.pool).await.expect("a count")
}

async fn dropped(farebox: &Farebox) -> usize {
    let answer = farebox.http.get(farebox.url("/metrics")).send().await.expect("an answer");
    let text = answer.text().await.expect("a text");
    let line = text.lines().find_map(|line| line.strip_prefix("farebox_texts_dropped_total "));
    line.map_or(0, |number| number.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_texts_than_find_a_place_are_counted_and_shown_and_no_call_notices() {
    let routes = storing().await;
    let farebox = &routes.farebox;
    let mut lock = farebox.pool.begin().await.expect("a transaction");
    sqlx::query("lock table call_text in access exclusive mode").execute(&mut *lock).await.expect("locked");
    let (calls, key) = (PLACES + 32, &routes.key);
    for begin in (0..calls).step_by(16) {
        let some = (begin..begin + 16).map(|n| async move {
            let answer = farebox.post(key, "/api/v1/chat/completions", &says(&format!("call {n}"), false)).await;
            assert_eq!(answer.status(), 200);
            answer.json::<Value>().await.expect("JSON")
        });
        for told in join_all(some).await {
            assert!(told["usage"]["cost_details"].get("data_discount").is_some(), "{told}");
        }
    }
    assert!(dropped(farebox).await >= 32, "the queue has an end");
    lock.rollback().await.expect("unlocked");
    // What waited is written; what found no place, or waited too long, is counted. Nothing is both, and nothing neither.
    let mut seen = (0, 0);
    for _ in 0..600 {
        let texts = count(farebox, "select count(*) from call_text").await;
        let told = count(farebox, "select coalesce(sum(calls), 0)::bigint from texts_dropped").await;
        seen = (usize::try_from(texts).expect("a count") - 1, usize::try_from(told).expect("a count"));
        if seen.0 + seen.1 == calls {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(seen.0 + seen.1, calls, "{seen:?}\n{}", farebox.log());
    assert!(seen.0 <= PLACES && seen.1 == dropped(farebox).await, "{seen:?}");
    let page = routes.ada().get(PAGE).await.body;
    assert!(page.contains(&format!("the texts of {} calls were not stored", seen.1)), "{page}");
    is_whole(farebox).await;
    assert_eq!(
        count(farebox, "select count(*) from usage where status = 'success'").await,
        i64::try_from(calls).expect("a count") + 1 + spare(farebox).await
    );
}

/// Calls that were made before texts were stored.
async fn spare(farebox: &Farebox) -> i64 {
    count(farebox, "select count(*) from usage where discount = 0").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_texts_are_deleted_by_whoever_types_the_word() {
    let routes = storing().await;
    let farebox = &routes.farebox;
    let mut ada = routes.ada();
    assert_eq!(routes.told(&routes.key, says("one more", false)).await.0, 200);
    stored(farebox, 2).await;
    let address = "/settings/privacy/texts/delete";
    assert!(ada.get(PAGE).await.body.contains(address));
    let page = ada.get(address).await;
    assert!(page.status == 200 && page.body.contains("2 calls’ texts"), "{}", page.body);
    for wrong in [json!({}), json!({ "typed": "yes" }), json!({ "typed": "" })] {
        let fields: Vec<(&str, &str)> = wrong
            .as_object()
            .expect("fields")
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect();
        let page = ada.submit(address, address, &fields).await;
        assert_eq!(page.status, 422, "{}", page.body);
        assert!(page.body.contains("Type delete to confirm. Nothing was deleted."), "{}", page.body);
    }
    stored(farebox, 2).await;
    let deleted = ada.submit(address, address, &[("typed", " Delete ")]).await;
    assert_eq!((deleted.status, deleted.location.as_str()), (303, PAGE), "{}", deleted.body);
    stored(farebox, 0).await;
    let page = ada.get(PAGE).await.body;
    assert!(page.contains("The texts of 2 calls are deleted.") && page.contains("None are stored."), "{page}");
    let told = farebox.text("select after from audit_entry where action = 'settings.texts_deleted'").await;
    assert!(told.contains("deleted") && told.contains('2'), "{told}");
    assert_eq!(ada.get(address).await.location, PAGE, "there is nothing to delete");
    is_whole(farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_read_what_was_said_where_they_may() {
    let routes = storing().await;
    let (farebox, key) = (&routes.farebox, &routes.key);
    let told = routes.told(key, says("what is for lunch", false)).await.2;
    let whole = told["id"].as_str().expect("an id").to_owned();
    let streamed = farebox.post(key, "/api/v1/chat/completions", &says("and for dinner", true)).await;
    let stream = streamed.headers()["x-generation-id"].to_str().expect("text").to_owned();
    assert_eq!(streamed.text().await.map(|text| text.contains("[DONE]")).ok(), Some(true));
    stored(farebox, 3).await;
    let asked = async |key: &Key, id: &str| {
        let request = farebox.http.get(farebox.url(&format!("/api/v1/generation/content?id={id}")));
        let answer = request.bearer_auth(&key.text).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    for (id, said) in [(&whole, "what is for lunch"), (&stream, "and for dinner")] {
        let (status, told) = asked(key, id).await;
        let data = &told["data"];
        let messages = data["input"]["messages"].as_array().expect("messages");
        assert_eq!((status, &messages[messages.len() - 1]["content"]), (200, &json!(said)), "{told}");
        assert_eq!(data["output"]["completion"], "Hello from the fake upstream.", "{told}");
        assert!(
            data["output"]["reasoning"].is_null() && data["error"].is_null() && data["input_cut"] == false,
            "{told}"
        );
    }
    // Another key that only calls reads nothing of it, whoever made it; one that manages keys what its maker may read.
    let other = farebox.key(crate::support::routes::EMAIL, "", &[]).await;
    assert_eq!(asked(&other, &whole).await.0, 403);
    let manager = super::management::provisioning(farebox, crate::support::routes::EMAIL, "", &[]).await;
    assert_eq!(asked(&manager, &whole).await.0, 200);
    let strange = super::management::provisioning(farebox, "eve@example.com", "5", &[]).await;
    assert_eq!(asked(&strange, &whole).await.0, 404);
    assert_eq!(asked(key, "gen-00").await.0, 404);
    // Of a call of somebody else in the organization, by the role of who made the key.
    let theirs = "update usage set member_id = gen_random_uuid()";
    sqlx::query(theirs).execute(&farebox.pool).await.expect("moved");
    for (role, status) in [("owner", 200), ("admin", 200), ("billing", 403), ("member", 404)] {
        sqlx::query("update membership set role = $1 where org_id = $2")
            .bind(role)
            .bind(key.org.parse::<farebox::base::ids::OrgId>().expect("an id").0)
            .execute(&farebox.pool)
            .await
            .expect("changed");
        assert_eq!(asked(&manager, &whole).await.0, status, "{role}");
    }
    sqlx::query("update membership set role = 'owner'").execute(&farebox.pool).await.expect("changed");
    // What is not stored is not there.
    sqlx::query("delete from call_text").execute(&farebox.pool).await.expect("deleted");
    let (status, told) = asked(key, &whole).await;
    assert!(
        status == 404 && told["error"]["message"].as_str().is_some_and(|text| text.contains("is stored")),
        "{told}"
    );
}
