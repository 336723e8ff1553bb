//! What a program is told of an organization: who is in it, and what its past days came to.

use serde_json::json;

use super::management::{ask, issue, provisioning};
use crate::support::calendar;
use crate::support::farebox::{Farebox, Key};
use crate::support::team;
use crate::support::visitor::Visitor;

async fn calls(farebox: &Farebox, key: &Key) -> u16 {
    farebox.chat(key, "sandbox/penny", "one cent", json!({})).await.status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_and_past_days_are_told_to_a_program() {
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let manager = provisioning(&farebox, "ada@example.com", "10", &[]).await;
    let (issued, hash) = issue(&farebox, &manager, json!({ "name": "worker" })).await;
    for _ in 0..3 {
        assert_eq!(calls(&farebox, &issued).await, 200);
    }
    let today = ask(&farebox, &manager, ("GET", "/api/v1/activity"), None, 200).await;
    assert_eq!(today, json!({ "data": [] }), "today is not over");
    for statement in [
        "update usage_hour set hour = hour - interval '1 day'",
        "update usage set created_at = created_at - interval '1 day'",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&farebox.pool).await.expect("a change");
    }
    let day = farebox.text("select ((now() at time zone 'UTC')::date - 1)::text").await;
    let all = ask(&farebox, &manager, ("GET", "/api/v1/activity"), None, 200).await;
    let item = &all["data"][0];
    assert_eq!(
        (&item["date"], &item["model"], &item["requests"], &item["usage"], &item["provider_name"]),
        (&json!(day), &json!("sandbox/penny"), &json!(3), &json!(0.03), &json!("sandbox"))
    );
    assert!(item.get("workspace_id").is_none(), "{item}");
    for (query, items) in [
        (format!("?date={day}"), 1),
        (format!("?api_key_hash={hash}&group_by=workspace"), 1),
        (format!("?user_id={}", team::person(&farebox, "ada@example.com").await), 1),
    ] {
        let found = ask(&farebox, &manager, ("GET", &format!("/api/v1/activity{query}")), None, 200).await;
        assert_eq!(found["data"].as_array().map(Vec::len), Some(items), "{query}: {found}");
    }
    for (query, status) in [
        ("date=yesterday", 400),
        ("date=2020-01-01", 404),
        ("api_key_hash=0", 404),
        ("user_id=x", 404),
        ("group_by=key", 400),
    ] {
        ask(&farebox, &manager, ("GET", &format!("/api/v1/activity?{query}")), None, status).await;
    }
    let members = ask(&farebox, &manager, ("GET", "/api/v1/organization/members"), None, 200).await;
    assert_eq!((&members["total_count"], &members["data"][0]["role"]), (&json!(1), &json!("org:admin")));
    assert_eq!(members["data"][0]["email"], "ada@example.com");
    for (query, status) in [("limit=0", 400), ("limit=101", 400), ("offset=1&limit=1", 200)] {
        let page =
            ask(&farebox, &manager, ("GET", &format!("/api/v1/organization/members?{query}")), None, status).await;
        assert!(status == 400 || page["data"] == json!([]), "{page}");
    }
    assert_eq!(ada.get("/keys").await.status, 200);
}
