//! As many keys as an organization may have, a hundred thousand: what is done often stays as fast as with a page of them.

use std::time::{Duration, Instant};

use farebox::base::Digest;
use farebox::keys::PlainKey;
use sqlx::PgPool;

use super::{ada, make};
use crate::support::Farebox;
use crate::support::size::scale;
use crate::support::visitor::Visitor;

const TRIES: usize = 15;
/// More than a page shows, so that a page is as long before there are many keys as after.
const A_PAGE: i32 = 100;
/// Ten needles, a provisioning key, and the two that it issues. An organization may have a hundred thousand with them.
const MADE_HERE: i32 = 13;

/// Fills the organization of the newest key with those of further ones that have these numbers, like it but for their
/// names and secrets.
async fn fill(pool: &PgPool, first: i32, last: i32) {
    for statement in [
        "insert into api_key (org_id, id, digest, kind, name, label, created_by)
         select k.org_id, gen_random_uuid(), sha256(n::text::bytea), 'inference',
            'Worker ' || n || ' of team ' || md5(n::text), 'sk-fb-v1-' || substr(md5(n::text), 1, 4) || '…' ||
            substr(md5(n::text), 5, 4), k.created_by
         from (select * from api_key order by id desc limit 1) k, generate_series($1, $2) n",
        "insert into meter (org_id, id, kind, spent_total, last_used_at)
         select org_id, id, 'key', ($1 + $2)::numeric / 100000, now() from api_key k
         where not exists (select from meter m where m.id = k.id)",
    ] {
        sqlx::query(statement).bind(first).bind(last).execute(pool).await.expect(statement);
    }
    sqlx::raw_sql("analyze api_key; analyze meter").execute(pool).await.expect("known");
}

/// The best of several tries: what it takes, without what the machine does beside.
async fn best(visitor: &mut Visitor<'_>, path: &str) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let begun = Instant::now();
        assert_eq!(visitor.get(path).await.status, 200, "{path}");
        best = best.min(begun.elapsed());
    }
    best
}

/// Looking a key up that this process does not know yet.
async fn authentication(farebox: &Farebox) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let key = PlainKey::fresh();
        let begun = Instant::now();
        let answer = farebox.http.get(farebox.url("/api/v1/key")).bearer_auth(key.reveal()).send().await;
        assert_eq!(answer.expect("an answer").status(), 401);
        best = best.min(begun.elapsed());
    }
    best
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_searches_and_authentication_do_not_slow_down_with_the_number_of_keys() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let mut last = String::new();
    for number in 0..10 {
        let name = format!("Needle {number}");
        let key = make(&mut ada, &[("name", &name), ("day", "1")]).await;
        last = key.text;
    }
    fill(&farebox.pool, 1, A_PAGE).await;
    let paths = ["/keys", "/keys?sort=name", "/keys?q=Needle+7", "/keys?q=no-such-key", "/keys?q=wxyz"];
    let mut before = Vec::new();
    for path in paths {
        before.push(best(&mut ada, path).await);
    }
    let looked_up = authentication(&farebox).await;
    let keys = scale(2_000, 100_000 - MADE_HERE);
    fill(&farebox.pool, A_PAGE + 1, keys).await;
    for (path, before) in paths.iter().zip(before) {
        let after = best(&mut ada, path).await;
        println!("{path}: {before:?} with {A_PAGE} keys, {after:?} with {keys}");
        assert!(
            after < before * 3 + Duration::from_millis(30),
            "{path}: {before:?} with {A_PAGE} keys, {after:?} with {keys}"
        );
    }
    let after = authentication(&farebox).await;
    println!("authentication: {looked_up:?}, {after:?}");
    assert!(
        after < looked_up * 3 + Duration::from_millis(5),
        "{looked_up:?} with {A_PAGE} keys, {after:?} with {keys}"
    );
    // All of them are found by paging, the page in the middle as fast as the first.
    let found: i64 = sqlx::query_scalar("select count(*) from api_key where digest = $1")
        .bind(Digest::of(&last).as_bytes())
        .fetch_one(&farebox.pool)
        .await
        .expect("a count");
    assert_eq!(found, 1);
    let middle: uuid::Uuid = sqlx::query_scalar("select id from api_key order by id offset $1 limit 1")
        .bind(i64::from(keys / 2))
        .fetch_one(&farebox.pool)
        .await
        .expect("a key");
    let middle = farebox::base::ids::KeyId(middle);
    for sort in ["", "&sort=name"] {
        let (first, deep) = (
            best(&mut ada, &format!("/keys?show=active{sort}")).await,
            best(&mut ada, &format!("/keys?show=active&after={middle}{sort}")).await,
        );
        assert!(
            deep < first * 3 + Duration::from_millis(20),
            "{sort}: {first:?} the first page, {deep:?} one in the middle"
        );
    }
    // What has to go through all of them is bounded, too.
    for slow in ["/keys?sort=used", "/keys?sort=spent", "/keys?show=idle", "/keys?q=team"] {
        let took = best(&mut ada, slow).await;
        println!("{slow}: {took:?}");
        assert!(took < Duration::from_millis(1_500), "{slow}: {took:?} with {keys}");
    }
    programs(&farebox, &ada_of(&farebox).await, keys).await;
}

/// A provisioning key of the same organization.
async fn ada_of(farebox: &Farebox) -> crate::support::Key {
    crate::stories::management::provisioning(farebox, super::ADA, "", &[]).await
}

/// A program's list is as fast at its end as at its beginning, but for what is left out before; making a key and looking a
/// known one up cost what they cost with few.
async fn programs(farebox: &Farebox, manager: &crate::support::Key, keys: i32) {
    use crate::stories::management::{ask, issue};
    let id: farebox::base::ids::KeyId = manager.id.parse().expect("an id");
    let (probe, _) = issue(farebox, manager, serde_json::json!({ "name": "probe" })).await;
    let timed = async |path: &str| {
        let mut best = Duration::MAX;
        for _ in 0..TRIES {
            let begun = Instant::now();
            ask(farebox, manager, ("GET", path), None, 200).await;
            best = best.min(begun.elapsed());
        }
        best
    };
    let issued_up_to = async |number: i32| {
        sqlx::query(
            "update api_key set issued_by = $1
             where id <> $1 and substring(name from '^Worker (\\d+) ')::integer <= $2",
        )
        .bind(id.0)
        .bind(number)
        .execute(&farebox.pool)
        .await
        .expect("issued");
        sqlx::raw_sql("analyze api_key").execute(&farebox.pool).await.expect("known");
    };
    issued_up_to(A_PAGE).await;
    let few = timed("/api/v1/keys").await;
    issued_up_to(keys).await;
    let (first, last) = (timed("/api/v1/keys").await, timed(&format!("/api/v1/keys?offset={}", keys - 100)).await);
    println!("GET /keys: {few:?} with {A_PAGE}, {first:?} the first of {keys}, {last:?} the last");
    assert!(first < few * 3 + Duration::from_millis(30), "{few:?} with {A_PAGE}, {first:?} with {keys}");
    assert!(last < Duration::from_millis(1_000), "{last:?} for the last hundred of {keys}");
    let begun = Instant::now();
    issue(farebox, manager, serde_json::json!({ "name": "one more" })).await;
    let made = begun.elapsed();
    println!("POST /keys: {made:?}");
    assert!(made < scale(Duration::from_secs(2), Duration::from_millis(500)), "{made:?} to make one beside {keys}");
    // One that is there, asked for anew each time: the process is made to forget it.
    let mut known = Duration::MAX;
    for _ in 0..TRIES {
        sqlx::query("update api_key set updated_at = now() where digest = $1")
            .bind(Digest::of(&probe.text).as_bytes())
            .execute(&farebox.pool)
            .await
            .expect("forgotten");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let begun = Instant::now();
        let answer = farebox.http.get(farebox.url("/api/v1/key")).bearer_auth(&probe.text).send().await;
        assert_eq!(answer.expect("an answer").status(), 200);
        known = known.min(begun.elapsed());
    }
    println!("authentication of a known key that is looked up: {known:?}");
    assert!(known < Duration::from_millis(100), "{known:?}");
}
