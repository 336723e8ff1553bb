//! A key that spends far beyond its habit.

use farebox::accounts::Links;
use farebox::base::ids::KeyId;
use farebox::keys::look_for_alarms;
use serde_json::json;

use super::{ada, make, within_a_second};
use crate::support::receiver::{self, Receiver};
use crate::support::visitor::{Visitor, between};
use crate::support::{Farebox, Key, Options, calendar};

/// What a key spent in an hour, so many hours ago: only the sums, which is all that is looked at.
async fn spend(farebox: &Farebox, key: &Key, hours_ago: i32, dollars: &str) {
    let id: KeyId = key.id.parse().expect("an id");
    sqlx::query(
        "insert into usage_hour (org_id, hour, model, provider, key_id, member_id, app, requests, failed, prompt_tokens,
            completion_tokens, reasoning_tokens, cached_tokens, cost)
         select org_id, date_trunc('hour', now(), 'UTC') - make_interval(hours => $2), 'sandbox/echo', 'sandbox', id,
            created_by, '', 1, 0, 1, 1, 0, 0, $3::numeric
         from api_key where id = $1
         on conflict (org_id, hour, key_id, model, provider, app, member_id) do update set cost = excluded.cost",
    )
    .bind(id.0)
    .bind(hours_ago)
    .bind(dollars)
    .execute(&farebox.pool)
    .await
    .expect("spent");
}

async fn look(farebox: &Farebox) -> usize {
    let links = Links { base: farebox.base.parse().expect("an address") };
    look_for_alarms(&farebox.pool, &links).await.expect("looked")
}

async fn mails(farebox: &Farebox) -> Vec<(String, String)> {
    sqlx::query_as("select recipient, text_body from mail where kind = 'key_unusual' order by id")
        .fetch_all(&farebox.pool)
        .await
        .expect("mails")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_far_beyond_the_habit_is_told_and_once_a_day() {
    calendar::within_an_hour().await;
    calendar::within_a_day().await;
    let env = vec![("FAREBOX_ALLOW_PRIVATE_WEBHOOKS", "true".to_owned())];
    let farebox = Farebox::with(Options { env, ..Options::default() }).await;
    let mut ada = ada(&farebox).await;
    let receiver = Receiver::start().await;
    let hook = receiver::add(&mut ada, &receiver.url("/"), &["key.spend_unusual"]).await;
    let nightly = make(&mut ada, &[("name", "Nightly")]).await;
    let steady = make(&mut ada, &[("name", "Steady")]).await;
    let leaked = make(&mut ada, &[("name", "Leaked")]).await;
    let new = make(&mut ada, &[("name", "New")]).await;
    let tiny = make(&mut ada, &[("name", "Tiny")]).await;
    for day in 1..=10 {
        // A dear hour each day is a habit; so is a little all day long.
        spend(&farebox, &nightly, day * 24, "30").await;
        for hour in 0..3 {
            for key in [&nightly, &steady, &leaked] {
                spend(&farebox, key, day * 24 + 2 + hour, "2").await;
            }
            spend(&farebox, &tiny, day * 24 + 2 + hour, "0.001").await;
        }
    }
    // One dear hour long ago is none.
    spend(&farebox, &leaked, 6 * 24 + 8, "90").await;
    for (key, dollars) in [(&nightly, "31"), (&steady, "5.99"), (&new, "24"), (&tiny, "4.99")] {
        spend(&farebox, key, 0, dollars).await;
    }
    assert_eq!(look(&farebox).await, 0, "{:?}", mails(&farebox).await);
    spend(&farebox, &leaked, 0, "6.01").await;
    assert_eq!(look(&farebox).await, 1);
    // It goes up and down: told once.
    for dollars in ["20", "1", "80"] {
        spend(&farebox, &leaked, 0, dollars).await;
        assert_eq!(look(&farebox).await, 0);
    }
    let told = mails(&farebox).await;
    assert_eq!(told.len(), 1, "the owner made it: one mail");
    assert!(told[0].0 == super::ADA && told[0].1.contains("Leaked") && told[0].1.contains("$6.01"), "{}", told[0].1);
    // A program hears of the same.
    let data = receiver.told("key.spend_unusual", &hook).await;
    let facts = "select 'org_' || replace(org_id::text, '-', '') || ' ' || to_char(hour at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:00:00.000\"Z\"')
                 from usage_hour where cost = 80";
    let (org, hour) =
        farebox.text(facts).await.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("facts");
    let said =
        json!({ "organization": org, "key": leaked.id, "name": "Leaked", "hour": hour, "spent": "6.01", "usual": "2" });
    assert_eq!(data, said);
    assert_eq!(receiver.came().len(), 1);
    // One that has no habit needs more to be told of; two processes that look at once tell once.
    spend(&farebox, &new, 0, "25.01").await;
    let (one, other) = futures_util::future::join(look(&farebox), look(&farebox)).await;
    assert_eq!(one + other, 1);
    assert_eq!(mails(&farebox).await.len(), 2);
    // A stopped key is nobody's worry.
    ada.submit("/keys", &format!("/keys/{}/disable", steady.id), &[]).await;
    spend(&farebox, &steady, 0, "500").await;
    assert_eq!(look(&farebox).await, 0);
    let log = "select string_agg(actor_kind || ' ' || action, ',') from audit_entry where action = 'key.spend_unusual'";
    assert_eq!(farebox.text(log).await, "system key.spend_unusual,system key.spend_unusual");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_link_in_the_mail_stops_the_key_once() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let key = make(&mut ada, &[("name", "Leaked")]).await;
    within_a_second(&farebox, &key, "sandbox/echo", 200).await;
    spend(&farebox, &key, 0, "99").await;
    assert_eq!(look(&farebox).await, 1);
    let text = mails(&farebox).await.remove(0).1;
    let token: String = text.split_once("/alarm?token=").expect("a link").1.chars().take(64).collect();
    let link = format!("/alarm?token={token}");
    let mut stranger = Visitor::new(&farebox);
    for _ in 0..2 {
        let page = stranger.get(&link).await;
        assert!(
            page.status == 200 && page.body.contains("Stop this key") && page.body.contains("$99.00"),
            "{}",
            page.body
        );
    }
    within_a_second(&farebox, &key, "sandbox/echo", 200).await;
    let sent = stranger.submit(&link, "/alarm", &[("token", &token)]).await;
    assert!(sent.status == 200 && sent.body.contains("The key is stopped"), "{}", sent.body);
    within_a_second(&farebox, &key, "sandbox/echo", 403).await;
    ada.submit("/keys", &format!("/keys/{}/enable", key.id), &[]).await;
    within_a_second(&farebox, &key, "sandbox/echo", 200).await;
    // Once.
    let proof = stranger.token("/key").await;
    let again = stranger.post(&proof, "/alarm", &[("token", &token)]).await;
    assert!(again.status == 410 && again.body.contains("This link was used"), "{}", again.body);
    within_a_second(&farebox, &key, "sandbox/echo", 200).await;
    sqlx::query("update key_alarm set used_at = null, expires_at = now()").execute(&farebox.pool).await.expect("late");
    let late = stranger.post(&proof, "/alarm", &[("token", &token)]).await;
    assert!(late.status == 410 && late.body.contains("too old"), "{}", late.body);
    for wrong in ["/alarm", "/alarm?token=x"] {
        assert_eq!(stranger.get(wrong).await.status, 410);
    }
    assert_eq!(between(&text, "Stop this ", "\n").chars().take(3).collect::<String>(), "key");
    let log = "select actor_kind from audit_entry where action = 'key.disabled'";
    assert_eq!(farebox.text(log).await, "nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_spend_more_or_were_told_of_hide_nobody() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let steady = make(&mut ada, &[("name", "Steady")]).await;
    // More than one piece of those that are looked at together: dear, but no news without a habit.
    sqlx::query(
        "insert into api_key (org_id, id, digest, kind, name, label, created_by)
         select k.org_id, gen_random_uuid(), sha256(n::text::bytea), 'inference', 'Crowd ' || n, 'label', k.created_by
         from api_key k, generate_series(1, 450) n",
    )
    .execute(&farebox.pool)
    .await
    .expect("keys");
    let crowd = async |dollars: &str| {
        sqlx::query(
            "insert into usage_hour (org_id, hour, model, provider, key_id, member_id, app, requests, failed,
                prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, cost)
             select org_id, date_trunc('hour', now(), 'UTC'), 'sandbox/echo', 'sandbox', id, created_by, '', 1, 0, 1, 1, 0,
                0, $1::numeric
             from api_key where name like 'Crowd %'
             on conflict (org_id, hour, key_id, model, provider, app, member_id) do update set cost = excluded.cost",
        )
        .bind(dollars)
        .execute(&farebox.pool)
        .await
        .expect("spent");
    };
    crowd("20").await;
    assert_eq!(look(&farebox).await, 0);
    for day in 1..=10 {
        spend(&farebox, &steady, day * 24, "1").await;
    }
    spend(&farebox, &steady, 0, "5.01").await;
    assert_eq!(look(&farebox).await, 1, "the smallest of 451 is seen");
    // All of the crowd are told of, whichever pieces they are in, and once.
    crowd("26").await;
    assert_eq!(look(&farebox).await, 450);
    assert_eq!(look(&farebox).await, 0);
    let late = make(&mut ada, &[("name", "Late")]).await;
    for day in 1..=10 {
        spend(&farebox, &late, day * 24, "1").await;
    }
    spend(&farebox, &late, 0, "5.01").await;
    assert_eq!(look(&farebox).await, 1, "those that were told of stand in nobody's way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_on_own_accounts_is_spending_too() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let key = make(&mut ada, &[("name", "Own")]).await;
    spend(&farebox, &key, 0, "0.50").await;
    let own = async |dollars: &str| {
        sqlx::query("update usage_hour set upstream_cost = $1::numeric")
            .bind(dollars)
            .execute(&farebox.pool)
            .await
            .expect("spent");
    };
    own("24").await;
    assert_eq!(look(&farebox).await, 0);
    own("25").await;
    assert_eq!(look(&farebox).await, 1);
    let told = mails(&farebox).await;
    assert!(told[0].1.contains("$25.50"), "{}", told[0].1);
}
