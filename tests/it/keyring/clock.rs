//! Limits while days, weeks and months end.
//!
//! The ledger asks the database what time it is. These tests put a clock of their own before the database's: a schema
//! that comes first in the search path of one database, with functions of the same names. The program is as it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use farebox::base::Usd;
use farebox::base::ids::CallId;
use farebox::ledger::{self, Byok, Desk, Ended, Ending, Limits, Refused, Want};
use futures_util::future::join_all;
use sqlx::{AssertSqlSafe, PgPool};

use crate::calls::{Tenant, desk, usd};
use crate::support::cluster;
use crate::support::size::scale;

const CENT: &str = "0.01";
/// Calls that are held while a window ends.
const HELD: usize = 25;

/// A database whose clock is set by [`set`].
async fn database() -> PgPool {
    let url = cluster::database().await;
    let pool = PgPool::connect(&url).await.expect("the database");
    let name: String = sqlx::query_scalar("select current_database()::text").fetch_one(&pool).await.expect("a name");
    let statements = format!(
        "create schema shifted;
         create table shifted.clock (ahead interval not null);
         insert into shifted.clock values ('0');
         create function shifted.clock_timestamp() returns timestamptz language sql volatile as
            'select pg_catalog.clock_timestamp() + ahead from shifted.clock';
         create function shifted.now() returns timestamptz language sql volatile as
            'select pg_catalog.now() + ahead from shifted.clock';
         create table shifted.trace as select * from public.meter with no data;
         create function shifted.remember() returns trigger language plpgsql as
            'begin insert into shifted.trace select new.*; return null; end';
         create trigger remember after update on public.meter for each row
            when (new.spent_total is distinct from old.spent_total) execute function shifted.remember();
         grant usage on schema shifted to public;
         grant select on shifted.clock to public;
         alter database {name} set search_path = shifted, pg_catalog, public;"
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&pool).await.expect("a clock");
    pool.close().await;
    PgPool::connect(&url).await.expect("the database")
}

/// From here on it is this moment, and time goes on from it.
async fn set(pool: &PgPool, at: &str) {
    sqlx::query("update shifted.clock set ahead = $1::timestamptz - pg_catalog.clock_timestamp()")
        .bind(at.parse::<DateTime<Utc>>().expect("a time"))
        .execute(pool)
        .await
        .expect("set");
}

/// The meters were made by the real clock, which may be ahead of the moments that follow; a window never turns back.
async fn made_long_ago(pool: &PgPool) {
    let done = sqlx::query("update public.meter set day = '2026-01-05', week = '2026-01-05', month = '2026-01-01'");
    assert!(done.execute(pool).await.expect("set").rows_affected() > 1);
}

fn want(tenant: &Tenant, amount: &str) -> Want {
    Want {
        call: CallId::fresh(),
        org: tenant.org,
        meters: vec![tenant.key_meter, tenant.member_meter],
        most: usd(amount),
        least: usd(amount),
        byok: Byok::default(),
        memo: String::new(),
    }
}

/// Holds, and settles for all that was held. What was charged; `None` when a limit refused it.
async fn call(pool: &PgPool, desk: &Desk, tenant: &Tenant) -> Option<Usd> {
    let want = want(tenant, CENT);
    let (org, call) = (want.org, want.call);
    let held = match desk.reserve(want).await {
        Ok(granted) => granted.amount,
        Err(Refused::Limit { .. }) => return None,
        Err(other) => panic!("{other:?}"),
    };
    let mut tx = pool.begin().await.expect("a transaction");
    let ended =
        ledger::settle(&mut tx, &[Ending { cost: held, ..Ending::release(org, call, held) }]).await.expect("settled");
    tx.commit().await.expect("committed");
    match ended.first() {
        Some(Ended::Settled { charged, .. }) => Some(*charged),
        other => panic!("{other:?}"),
    }
}

async fn limit(pool: &PgPool, tenant: &Tenant, limits: Limits) {
    let mut conn = pool.acquire().await.expect("a connection");
    ledger::set_limits(&mut conn, tenant.org, tenant.key_meter, limits, false).await.expect("limits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_window_is_overspent_while_days_weeks_and_months_end() {
    let pool = database().await;
    let tenant = Tenant::with_credits(&pool, "1000").await;
    made_long_ago(&pool).await;
    // 60 cents a day, 2 dollars a week, 3.50 a month: each of them binds somewhere below.
    let limits = Limits { day: Some(usd("0.60")), week: Some(usd("2")), month: Some(usd("3.50")), total: None };
    limit(&pool, &tenant, limits).await;
    let one = desk(&pool, std::time::Duration::from_secs(900));
    let two = desk(&pool, std::time::Duration::from_secs(900));
    let calls = scale(100, 500);
    // Around the ends of days, of a week (Sunday to Monday), of a month, and of a year; 20 moments.
    let moments = [
        "2026-11-26T23:59:59.5Z",
        "2026-11-27T12:00:00Z",
        "2026-11-27T23:59:59.7Z",
        "2026-11-28T23:59:59.6Z",
        "2026-11-29T12:00:00Z",
        "2026-11-29T23:59:59.6Z",
        "2026-11-30T12:00:00Z",
        "2026-11-30T23:59:59.6Z",
        "2026-12-01T12:00:00Z",
        "2026-12-02T23:59:59.8Z",
        "2026-12-05T23:59:59.5Z",
        "2026-12-06T23:59:59.5Z",
        "2026-12-13T23:59:59.6Z",
        "2026-12-20T23:59:59.6Z",
        "2026-12-30T12:00:00Z",
        "2026-12-30T23:59:59.6Z",
        "2026-12-31T12:00:00Z",
        "2026-12-31T23:59:59.6Z",
        "2027-01-01T23:59:59.6Z",
        "2027-01-03T23:59:59.6Z",
    ];
    let (mut charged, mut refused) = (Usd::ZERO, 0);
    for moment in moments {
        set(&pool, moment).await;
        let running = Arc::new(AtomicBool::new(true));
        let watcher = tokio::spawn(watch(pool.clone(), tenant, running.clone()));
        let answers = join_all((0..calls).map(|number| {
            let desk = if number % 2 == 0 { &one } else { &two };
            call(&pool, desk, &tenant)
        }))
        .await;
        running.store(false, Ordering::Release);
        watcher.await.expect("no limit was broken");
        charged += answers.iter().flatten().copied().fold(Usd::ZERO, |sum, one| sum + one);
        refused += answers.iter().filter(|answer| answer.is_none()).count();
    }
    assert!(refused > 0 && charged > usd("5"), "{refused} refused, {charged:?} charged");
    assert_eq!(tenant.posted(&pool).await, usd("1000") - charged, "to the last digit");
    let windows = spent_by_window(&pool, &tenant).await;
    for (window, most) in [("day", usd("0.60")), ("week", usd("2")), ("month", usd("3.50"))] {
        let of_kind: Vec<_> = windows.iter().filter(|((kind, _), _)| kind == window).collect();
        assert!(of_kind.iter().all(|(_, spent)| **spent <= most), "{window}: {of_kind:?}");
        assert!(of_kind.iter().any(|(_, spent)| **spent == most), "{window} is used up somewhere: {of_kind:?}");
    }
    let sum = windows.iter().filter(|((kind, _), _)| kind == "day").fold(Usd::ZERO, |sum, (_, spent)| sum + *spent);
    assert_eq!(sum, charged, "every cent stands in one day");
    assert_eq!(tenant.credit(&pool).await.held, Usd::ZERO);
}

/// Calls that are held before a window ends and settled after it: they were admitted in the one and count in the other, and
/// neither is ever overspent, for what is held counts in every window until it is settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_before_midnight_and_settled_after_it_breaks_no_limit() {
    let pool = database().await;
    let tenant = Tenant::with_credits(&pool, "1000").await;
    made_long_ago(&pool).await;
    let limits = Limits { day: Some(usd("0.40")), week: Some(usd("1.20")), month: Some(usd("1.50")), total: None };
    let mut conn = pool.acquire().await.expect("a connection");
    // The member's cap binds as well as the key's own limits.
    ledger::set_limits(&mut conn, tenant.org, tenant.member_meter, limits, false).await.expect("limits");
    drop(conn);
    let desk = desk(&pool, std::time::Duration::from_secs(900));
    let calls = scale(60, 500);
    let mut charged = Usd::ZERO;
    for (before, after) in [
        // The end of a day, of a week, of a year, and of a week and a month at once.
        ("2026-11-26T23:59:50Z", "2026-11-27T00:00:01Z"),
        ("2026-11-29T23:59:50Z", "2026-11-30T00:00:01Z"),
        ("2026-12-31T23:59:50Z", "2027-01-01T00:00:01Z"),
        ("2027-01-31T23:59:50Z", "2027-02-01T00:00:01Z"),
    ] {
        set(&pool, before).await;
        let asked = (0..HELD).map(|_| async {
            let want = want(&tenant, CENT);
            let (org, call) = (want.org, want.call);
            desk.reserve(want)
                .await
                .ok()
                .map(|granted| Ending { cost: granted.amount, ..Ending::release(org, call, granted.amount) })
        });
        let held: Vec<Ending> = join_all(asked).await.into_iter().flatten().collect();
        assert_eq!(held.len(), HELD, "admitted before {after}");
        set(&pool, after).await;
        // The new day has its own room, less what is still held from the one before.
        let room = join_all((0..calls).map(|_| call(&pool, &desk, &tenant))).await;
        let in_new: usize = room.iter().flatten().count();
        assert_eq!(in_new, 40 - HELD, "beside those that are held: a day's forty, and no more");
        let mut tx = pool.begin().await.expect("a transaction");
        let ended = ledger::settle(&mut tx, &held).await.expect("settled");
        tx.commit().await.expect("committed");
        assert!(ended.iter().all(|one| matches!(one, Ended::Settled { .. })), "{ended:?}");
        charged += Usd::from_cents(i64::try_from(held.len() + in_new).expect("few"));
        let over: i64 = sqlx::query_scalar(
            "select count(*) from meter where id = $1 and (spent_day > limit_day or spent_week > limit_week
                or spent_month > limit_month)",
        )
        .bind(tenant.member_meter.0)
        .fetch_one(&pool)
        .await
        .expect("a count");
        assert_eq!(over, 0, "after {after}");
    }
    assert_eq!(tenant.posted(&pool).await, usd("1000") - charged, "to the last digit");
    assert_eq!(tenant.credit(&pool).await.held, Usd::ZERO);
}

/// Looks at the meter all the time: no window ever has more spent and held than its limit.
async fn watch(pool: PgPool, tenant: Tenant, running: Arc<AtomicBool>) {
    while running.load(Ordering::Acquire) {
        let over: i64 = sqlx::query_scalar(
            "select count(*) from meter where id = $1 and (spent_day > limit_day or spent_week > limit_week
                or spent_month > limit_month)",
        )
        .bind(tenant.key_meter.0)
        .fetch_one(&pool)
        .await
        .expect("a count");
        assert_eq!(over, 0, "a window is overspent");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// What was spent in each window that there was, as the meter counted it: a trigger keeps each of its states.
async fn spent_by_window(pool: &PgPool, tenant: &Tenant) -> BTreeMap<(String, String), Usd> {
    let rows: Vec<(String, String, rust_decimal::Decimal)> = sqlx::query_as(
        "select 'day', day::text, max(spent_day) from shifted.trace where id = $1 group by day
         union all select 'week', week::text, max(spent_week) from shifted.trace where id = $1 group by week
         union all select 'month', month::text, max(spent_month) from shifted.trace where id = $1 group by month",
    )
    .bind(tenant.key_meter.0)
    .fetch_all(pool)
    .await
    .expect("a trace");
    rows.into_iter().map(|(kind, from, spent)| ((kind, from), Usd::new(spent))).collect()
}
