//! One switch for all keys, and doing one thing to several.

use super::{ADA, PASSWORD, ada, make, status, two, within_a_second};
use crate::support::visitor::Visitor;
use crate::support::{Farebox, team};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_switch_stops_every_key_and_brings_back_exactly_what_worked() {
    let (first, second) = two().await;
    let mut ada = ada(&first).await;
    let works = make(&mut ada, &[("name", "Works")]).await;
    let disabled = make(&mut ada, &[("name", "Disabled")]).await;
    let expired = make(&mut ada, &[("name", "Expired")]).await;
    ada.submit("/keys", &format!("/keys/{}/disable", disabled.id), &[]).await;
    sqlx::query("update api_key set expires_at = now() - interval '1 hour' where name = 'Expired'")
        .execute(&first.pool)
        .await
        .expect("expired");
    let rows = "select string_agg(k::text, ';' order by id) from api_key k where deleted_at is null";
    let before = first.text(rows).await;
    for farebox in [&first, &second] {
        within_a_second(farebox, &works, "sandbox/echo", 200).await;
        within_a_second(farebox, &disabled, "sandbox/echo", 403).await;
        within_a_second(farebox, &expired, "sandbox/echo", 401).await;
    }

    let stopped = ada.submit("/keys/stop", "/keys/stop", &[]).await;
    assert_eq!((stopped.status, stopped.location.as_str()), (303, "/keys"), "{}", stopped.body);
    for farebox in [&first, &second] {
        within_a_second(farebox, &works, "sandbox/echo", 403).await;
    }
    let answer = first.chat(&works, "sandbox/echo", "hi", serde_json::json!({})).await.text().await.expect("a body");
    assert!(answer.contains("All keys of this organization are stopped"), "{answer}");
    for path in ["/", "/keys", "/activity"] {
        assert!(ada.get(path).await.body.contains("are stopped since"), "{path}");
    }
    let list = ada.get("/keys").await.body;
    assert!(
        list.contains("Stopped</span>") && list.contains("Disabled</span>") && list.contains("Expired</span>"),
        "{list}"
    );
    assert!(
        !list.contains(">Active</span>") && !list.contains("Stop all keys"),
        "nothing works, and nothing is left to stop: {list}"
    );
    assert!(ada.get(&format!("/keys/{}", works.id)).await.body.contains("Stopped</span>"));
    let new = make(&mut ada, &[("name", "Made meanwhile")]).await;
    assert_eq!(status(&second, &new, "sandbox/echo").await, 403, "a key that is made meanwhile is refused, too");
    ada.submit("/keys", &format!("/keys/{}/delete", new.id), &[]).await;
    // Twice is once.
    ada.submit("/keys/stop", "/keys/stop", &[]).await;
    let mails = "select count(*)::text from mail where kind = 'keys_switched' and recipient = 'ada@example.com'";
    assert_eq!(first.text(mails).await, "1");

    ada.submit("/keys/stop", "/keys/resume", &[]).await;
    for farebox in [&first, &second] {
        within_a_second(farebox, &works, "sandbox/echo", 200).await;
        assert_eq!(status(farebox, &disabled, "sandbox/echo").await, 403);
        assert_eq!(status(farebox, &expired, "sandbox/echo").await, 401);
    }
    assert_eq!(first.text(rows).await, before, "no key was touched");
    assert_eq!(first.text(mails).await, "2");
    let log = "select string_agg(action, ',' order by seq) from audit_entry where action like 'key.all%'";
    assert_eq!(first.text(log).await, "key.all_stopped,key.all_resumed");
    assert!(!ada.get("/keys").await.body.contains("are stopped since"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_switch_asks_who_it_is_and_is_for_owners_and_admins() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let mut grace = Visitor::member(&farebox, "grace@example.com", PASSWORD).await;
    let org = team::create(&mut ada, "Engines").await;
    team::bring_in(&farebox, &mut ada, &mut grace, "grace@example.com", "member").await;
    team::open(&mut grace, &org).await;
    assert_eq!(grace.get("/keys/stop").await.status, 403);
    for action in ["stop", "resume"] {
        assert_eq!(grace.submit("/keys", &format!("/keys/{action}"), &[]).await.status, 403);
    }
    // Whoever finds a browser that was left open can do neither.
    sqlx::query("update session set authenticated_at = now() - interval '1 hour'")
        .execute(&farebox.pool)
        .await
        .expect("later");
    assert!(ada.get("/keys/stop").await.location.starts_with("/step-up?next=%2Fkeys%2Fstop"));
    for action in ["stop", "resume"] {
        let asked = ada.submit("/keys", &format!("/keys/{action}"), &[]).await;
        assert!(asked.location.starts_with("/step-up"), "{}", asked.location);
    }
    assert_eq!(farebox.text("select count(keys_stopped_at)::text from org").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_thing_is_done_to_several_keys() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let mut keys = Vec::new();
    for name in ["One", "Two", "Three", "Four"] {
        keys.push(make(&mut ada, &[("name", name), ("total", "9")]).await);
    }
    let chosen: Vec<(&str, &str)> = keys[..3].iter().map(|key| ("key", key.id.as_str())).collect();
    let with = |more: &[(&'static str, &'static str)]| {
        let mut fields = chosen.clone();
        fields.extend(more);
        fields
    };
    let names = |query: &'static str| farebox.text(query);
    ada.submit("/keys", "/keys/several", &with(&[("action", "disable")])).await;
    let disabled = "select string_agg(name, ',' order by id) from api_key where disabled_at is not null";
    assert_eq!(names(disabled).await, "One,Two,Three");
    assert!(ada.get("/keys").await.body.contains("3 keys disabled"));
    ada.submit("/keys", "/keys/several", &with(&[("action", "enable")])).await;
    assert_eq!(names(disabled).await, "");

    let asked = ada.submit("/keys", "/keys/several", &with(&[("action", "limit")])).await;
    assert!(asked.status == 200 && asked.body.contains("Set the limits of 3 keys"), "{}", asked.body);
    let wrong = ada.submit("/keys", "/keys/several", &with(&[("action", "limit-sure"), ("day", "x")])).await;
    assert!(wrong.status == 422 && wrong.body.contains("Nothing was changed"), "{}", wrong.body);
    ada.submit("/keys", "/keys/several", &with(&[("action", "limit-sure"), ("day", "2"), ("month", "30")])).await;
    let limits =
        "select string_agg(concat_ws('/', name, limit_total::int, limit_day::int, limit_month::int), ',' order by k.id)
        from api_key k join meter m on m.id = k.id";
    assert_eq!(names(limits).await, "One/2/30,Two/2/30,Three/2/30,Four/9");

    let asked = ada.submit("/keys", "/keys/several", &with(&[("action", "delete")])).await;
    assert!(asked.body.contains("Delete 3 keys") && asked.body.contains("for good"), "{}", asked.body);
    assert_eq!(
        names("select count(*)::text from api_key where deleted_at is null").await,
        "4",
        "asking deletes nothing"
    );
    ada.submit("/keys", "/keys/several", &with(&[("action", "delete-sure")])).await;
    assert_eq!(names("select string_agg(name, ',') from api_key where deleted_at is null").await, "Four");
    let none = ada.submit("/keys", "/keys/several", &[("action", "delete-sure")]).await;
    assert_eq!(none.status, 303);
    assert!(ada.get("/keys").await.body.contains("No key was chosen"));
    assert_eq!(ada.submit("/keys", "/keys/several", &[("key", &keys[3].id), ("action", "odd")]).await.status, 422);
    let log = "select string_agg(distinct action || ' ' || n, ', ') from (select action, count(*) as n from audit_entry
        where action in ('key.disabled', 'key.enabled', 'key.changed', 'key.deleted') group by action) x";
    assert_eq!(names(log).await, "key.changed 3, key.deleted 3, key.disabled 3, key.enabled 3");
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}
