//! Editing, and replacing the secret of a key.

use super::{ADA, PASSWORD, ada, edit, make, preset, saved, send_edit, shown, status, two, within_a_second};
use crate::support::visitor::{Visitor, between};
use crate::support::{Farebox, Key, team};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_a_key_is_edited_and_nothing_is_lost() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let all = [
        ("name", "Blog <plugin>"),
        ("day", "1"),
        ("month", "20.50"),
        ("byok", "on"),
        ("expires", "on"),
        ("expires_on", "2031-05-01"),
        ("models", "sandbox/echo\nsandbox/penny"),
        ("networks", "127.0.0.0/8"),
        ("per_minute", "100"),
        ("preset", "support"),
    ];
    preset(&mut ada, "Support", &[]).await;
    let key = make(&mut ada, &all).await;
    let stored = "select concat_ws('|', name, allowed_models, allowed_ips, requests_per_minute, preset, expires_at,
        limit_day, limit_month, include_byok) from api_key k join meter m on m.id = k.id";
    let before = farebox.text(stored).await;
    assert_eq!(
        before,
        "Blog <plugin>|{sandbox/echo,sandbox/penny}|{127.0.0.0/8}|100|support|2031-05-01 00:00:00+00|1.000000000000|20.500000000000|t"
    );
    // The form comes filled in: sending it back changes nothing, and is not written down as a change.
    let changes = "select count(*)::text from audit_entry where action = 'key.changed'";
    saved(&mut ada, &key.id, &[("byok", "on")]).await;
    assert_eq!(farebox.text(stored).await, before);
    assert_eq!(farebox.text(changes).await, "0");

    saved(&mut ada, &key.id, &[("day", ""), ("week", "3"), ("expires", "never"), ("preset", ""), ("byok", "on")]).await;
    assert_eq!(
        farebox.text("select concat_ws('|', limit_day, limit_week, limit_month) from meter where kind = 'key'").await,
        "3.000000000000|20.500000000000"
    );
    assert_eq!(farebox.text("select count(*)::text from api_key where expires_at is null").await, "1");
    let written = "select before::text || after::text from audit_entry where action = 'key.changed'";
    let written = farebox.text(written).await;
    assert!(written.contains("\"limit_week\"") && !written.contains("limit_month"), "only what changed: {written}");

    let page = ada.get(&format!("/keys/{}", key.id)).await.body;
    for part in ["Each week", "Each month", "127.0.0.0/8", "100 a minute", "Blog &#60;plugin&#62;", "Starts again"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let wrong = edit(&mut ada, &key.id, &[("month", "much"), ("models", "no/such-model"), ("name", "")]).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(wrong.body.matches("Nothing was changed.").count(), 3, "{}", wrong.body);
    assert!(wrong.body.contains("value=\"much\""), "what was typed stays");
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_edit_at_once_the_second_is_told() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let key = make(&mut ada, &[("total", "5")]).await;
    let path = format!("/keys/{}/edit", key.id);
    let stale = ada.get(&path).await;
    saved(&mut ada, &key.id, &[("total", "1")]).await;
    let late = send_edit(&mut ada, &stale, &path, &[("name", "Renamed")]).await;
    assert_eq!(late.status, 303);
    assert!(ada.get(&late.location).await.body.contains("Somebody changed this key since"));
    assert_eq!(
        farebox.text("select name || limit_total::text from api_key k join meter m on m.id = k.id").await,
        "Lab1.000000000000"
    );
    let damaged = edit(&mut ada, &key.id, &[("seen", "")]).await;
    assert_eq!(damaged.status, 422, "without a version nothing is changed");
}

async fn rotate(visitor: &mut Visitor<'_>, key: &str, grace: &str) -> String {
    let path = format!("/keys/{key}/rotate");
    let page = visitor.get(&path).await.body;
    let seen = between(&page, "name=\"seen\" value=\"", "\"");
    shown(&visitor.submit(&path, &path, &[("seen", &seen), ("grace", grace)]).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rotation_the_old_key_works_for_its_grace() {
    let (first, second) = two().await;
    let mut ada = ada(&first).await;
    let old = make(&mut ada, &[("total", "1")]).await;
    for farebox in [&first, &second] {
        assert_eq!(status(farebox, &old, "sandbox/penny").await, 200);
    }
    let new = Key { text: rotate(&mut ada, &old.id, "24").await, ..old.clone() };
    assert_ne!(new.text, old.text);
    for farebox in [&first, &second] {
        assert_eq!(status(farebox, &new, "sandbox/penny").await, 200);
        assert_eq!(status(farebox, &old, "sandbox/penny").await, 200, "in its grace");
    }
    first.holds_are_closed().await;
    let spent = first.text("select spent_total::text from meter where kind = 'key'").await;
    assert_eq!(spent, "0.060000000000", "one key, one limit");
    let shown = second.get(&old, "/api/v1/key").await;
    assert!(shown["data"]["expires_at"].is_string(), "the old one says when it ends: {shown}");

    sqlx::query("update api_key set previous_until = now() - interval '1 second'")
        .execute(&first.pool)
        .await
        .expect("later");
    within_a_second(&second, &old, "sandbox/penny", 401).await;
    assert_eq!(status(&second, &new, "sandbox/penny").await, 200);

    // Once more, at once: both old ones are dead on every node.
    let newest = Key { text: rotate(&mut ada, &old.id, "0").await, ..old.clone() };
    for farebox in [&first, &second] {
        within_a_second(farebox, &new, "sandbox/penny", 401).await;
        within_a_second(farebox, &old, "sandbox/penny", 401).await;
        assert_eq!(status(farebox, &newest, "sandbox/penny").await, 200);
    }
    assert_eq!(first.text("select count(*)::text from audit_entry where action = 'key.rotated'").await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_comes_twice_rotates_once_and_no_grace_is_longer_than_three_days() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let key = make(&mut ada, &[]).await;
    let path = format!("/keys/{}/rotate", key.id);
    let page = ada.get(&path).await.body;
    let seen = between(&page, "name=\"seen\" value=\"", "\"");
    for grace in ["73", "-1", "", "soon"] {
        assert_eq!(ada.submit(&path, &path, &[("seen", &seen), ("grace", grace)]).await.status, 422, "{grace}");
    }
    let new = shown(&ada.submit(&path, &path, &[("seen", &seen), ("grace", "72")]).await);
    let again = ada.submit(&path, &path, &[("seen", &seen), ("grace", "72")]).await;
    assert_eq!((again.status, again.location.as_str()), (303, format!("/keys/{}", key.id).as_str()));
    let new = Key { text: new, ..key.clone() };
    assert_eq!(status(&farebox, &new, "sandbox/echo").await, 200);
    assert_eq!(status(&farebox, &key, "sandbox/echo").await, 200, "the first rotation stands");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_see_and_change_their_own_keys_only() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let mut grace = Visitor::member(&farebox, "grace@example.com", PASSWORD).await;
    let org = team::create(&mut ada, "Engines").await;
    team::bring_in(&farebox, &mut ada, &mut grace, "grace@example.com", "member").await;
    team::open(&mut grace, &org).await;
    let adas = make(&mut ada, &[("name", "Of Ada")]).await;
    let graces = make(&mut grace, &[("name", "Of Grace")]).await;
    let list = grace.get("/keys").await.body;
    assert!(list.contains("Of Grace") && !list.contains("Of Ada") && !list.contains("Stop all keys"), "{list}");
    for path in ["", "/edit", "/rotate", "/delete"] {
        assert_eq!(grace.get(&format!("/keys/{}{path}", adas.id)).await.status, 404, "{path}");
        assert_eq!(ada.get(&format!("/keys/{}{path}", graces.id)).await.status, 200, "{path}");
    }
    for action in ["edit", "rotate", "disable", "enable", "delete", "link", "unlink"] {
        let fields = [("seen", "1"), ("grace", "0"), ("name", "Mine"), ("lasts", "7d")];
        let sent = grace.submit("/keys", &format!("/keys/{}/{action}", adas.id), &fields).await;
        assert_eq!(sent.status, 404, "{action}");
    }
    // Several at once reach no further either.
    let both = [("key", adas.id.as_str()), ("key", graces.id.as_str()), ("action", "disable")];
    let sent = grace.submit("/keys", "/keys/several", &both).await;
    assert_eq!(sent.status, 303);
    assert_eq!(
        farebox.text("select string_agg(name, ',') from api_key where disabled_at is not null").await,
        "Of Grace"
    );
}
