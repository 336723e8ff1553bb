//! The table of calls in depth: every zone adds up, nothing is lost when calls go, and every month has its part.

use std::collections::HashMap;

use chrono::TimeDelta;
use farebox::activity::{self, Export, Group, LogFilter, Metric, Range, Retention, Slice, Span};
use farebox::base::Usd;
use rust_decimal::Decimal;
use sqlx::PgPool;

use super::activity::{Lab, at};
use super::calls::{answered, assert_clean, desk, hold, now, refused, rows, usd};
use super::support::calendar;

/// From the first clock of the world to the last, with quarters and halves of hours, and clocks that change by half of one.
pub const ZONES: [&str; 12] = [
    "Etc/GMT+12",
    "Pacific/Marquesas",
    "America/St_Johns",
    "America/New_York",
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Pacific/Kiritimati",
];

impl Lab {
    /// Around the nights in which clocks in Europe and America change, and the one in which those of Lord Howe do.
    pub async fn calls_around_changes_of_clocks(&self) {
        for night in ["2026-10-25T00:00:00Z", "2026-11-01T06:00:00Z", "2026-10-03T15:00:00Z"] {
            // Every 37 minutes, so that calls lie on both sides of every edge.
            for step in -40..40_i32 {
                let cost = format!("0.0000000{:03}7", (step + 41) * 7 % 1_000);
                let moment = at(night) + TimeDelta::minutes(i64::from(step) * 37) + TimeDelta::microseconds(13);
                self.call(moment, &format!("lab/m{}", step.rem_euclid(11)), &cost).await;
            }
        }
    }
}

/// What the calls themselves say, in the clocks of Postgres.
async fn truth(pool: &PgPool, lab: &Lab, span: Span, zone: &str) -> HashMap<String, Decimal> {
    let days: Vec<(String, Decimal)> = sqlx::query_as(
        "select (created_at at time zone $4)::date::text, sum(cost) from usage
         where org_id = $1 and created_at >= $2 and created_at < $3 group by 1",
    )
    .bind(lab.tenant.org.0)
    .bind(span.from)
    .bind(span.to)
    .bind(zone)
    .fetch_all(pool)
    .await
    .expect("sums");
    days.into_iter().collect()
}

async fn exported(pool: &PgPool, lab: &Lab, filter: &LogFilter) -> (Usd, usize) {
    let mut conn = pool.acquire().await.expect("a connection");
    let mut export = Export::new(lab.tenant.org, filter, at("2030-01-01T00:00:00Z"));
    let (mut sum, mut count) = (Usd::ZERO, 0);
    while let Some(rows) = export.next(&mut conn).await.expect("a piece") {
        sum += rows.iter().map(|row| row.cost).sum();
        count += rows.len();
    }
    (sum, count)
}

pub async fn every_zone_adds_up_to_the_ledger_over_changes_of_clocks(pool: PgPool) {
    let lab = Lab::new(&pool).await;
    lab.calls_around_changes_of_clocks().await;
    let org = lab.tenant.org;
    let paid = usd("1000") - lab.tenant.posted(&pool).await;
    let mut conn = pool.acquire().await.expect("a connection");
    let mut seen = 0;
    for name in ZONES {
        let zone: chrono_tz::Tz = name.parse().expect("a zone");
        let mut all = Usd::ZERO;
        // Parts that follow each other without a gap: what is on an edge is in exactly one of them.
        for (from, to) in [
            ("2026-09-28", "2026-10-04"),
            ("2026-10-05", "2026-10-24"),
            ("2026-10-25", "2026-10-25"),
            ("2026-10-26", "2026-11-01"),
            ("2026-11-02", "2026-11-09"),
        ] {
            let span = activity::chosen(from, to, zone).expect("a stretch");
            let buckets = Range::Between(span).buckets(now(), zone);
            assert_eq!(buckets.span(), span);
            let measures =
                activity::measure(&mut conn, org, buckets, Some(Group::Model), &Slice::default()).await.expect("sums");
            let totals = measures.totals();
            let (chart, days) = (measures.chart(Metric::Spend), truth(&pool, &lab, span, name).await);
            assert_eq!(chart.total, totals.cost.amount(), "{name} {from}");
            assert_eq!(days.values().sum::<Decimal>(), chart.total, "{name} {from}: the calls say it");
            if chart.unit == activity::Unit::Day {
                for (edge, value) in chart.edges.iter().zip(measures.values(Metric::Spend)) {
                    let day = edge.with_timezone(&zone).date_naive().to_string();
                    assert_eq!(days.get(&day).copied().unwrap_or_default(), value, "{name} {day}");
                    seen += 1;
                }
            }
            let filter = LogFilter { from: Some(span.from), to: Some(span.to), ..LogFilter::default() };
            let (sum, count) = exported(&pool, &lab, &filter).await;
            assert_eq!((sum, count as u64), (totals.cost, totals.requests), "{name} {from}: the export");
            let alone = activity::totals(&mut conn, org, span, &Slice::default()).await.expect("sums");
            assert_eq!(alone, totals, "{name} {from}");
            all += totals.cost;
        }
        assert_eq!(all, paid, "{name}: the ledger");
    }
    assert!(seen > 300, "{seen} days were looked at");
    // A stretch that begins and ends within hours, sliced by one model.
    let span = Span { from: at("2026-10-24T22:07:00Z"), to: at("2026-10-25T01:53:00Z") };
    let slice = Slice { model: Some("lab/m3".into()), ..Slice::default() };
    let sliced = activity::totals(&mut conn, org, span, &slice).await.expect("sums");
    let filter =
        LogFilter { from: Some(span.from), to: Some(span.to), model: slice.model.clone(), ..LogFilter::default() };
    let (sum, count) = exported(&pool, &lab, &filter).await;
    assert_eq!((sum, count as u64), (sliced.cost, sliced.requests));
    drop(conn);
    assert_clean(&pool).await;
}

pub async fn the_log_finds_what_is_rare_in_steps_and_misses_nothing(pool: PgPool) {
    let lab = Lab::new(&pool).await;
    let org = lab.tenant.org;
    for hours in [1, 30, 200] {
        lab.call(now() - TimeDelta::hours(hours), "lab/rare", "0.02").await;
    }
    // Far more than one look goes through, none of which fits.
    sqlx::query(
        "insert into usage (org_id, id, created_at, key_id, model_asked, model, provider, streamed, status, http_status,
            counted_by)
         select $1, overlay(md5(n::text) placing left(replace(call_floor(at)::text, '-', ''), 12) from 1 for 12)::uuid,
            at, $2, 'lab/common', 'lab/common', 'sandbox', true, 'failed', 502, 'nobody'
         from (select n, now() - make_interval(secs => 60 + n * 25) as at from generate_series(1, 12000) n) calls",
    )
    .bind(org.0)
    .bind(lab.tenant.key.0)
    .execute(&pool)
    .await
    .expect("calls");
    sqlx::query(
        "insert into usage_hour (org_id, hour, model, provider, key_id, member_id, app, requests, failed, prompt_tokens,
            completion_tokens, reasoning_tokens, cached_tokens, cost)
         select org_id, date_trunc('hour', created_at, 'UTC'), model, provider, key_id,
            '00000000-0000-0000-0000-000000000000', app, count(*), count(*), 0, 0, 0, 0, 0
         from usage where model = 'lab/common' group by 1, 2, 3, 4, 5, 7",
    )
    .execute(&pool)
    .await
    .expect("sums");
    let mut conn = pool.acquire().await.expect("a connection");
    // The sums lead to the hours of the three at once; what sums do not know is looked for step by step.
    for (query, pages) in [("model=lab%2Frare", 1), ("min=0.015", 4)] {
        let mut filter = LogFilter::parse(query).expect("a filter");
        let (mut found, mut asked) = (Vec::new(), 0);
        loop {
            let page = activity::log(&mut conn, org, &filter, 50).await.expect("a page");
            found.extend(page.rows.iter().map(|row| row.call));
            asked += 1;
            assert_eq!(page.more, page.next.is_some());
            let Some(next) = page.next else { break };
            assert!(asked < 10, "the way ends");
            filter.before = Some(next);
        }
        assert_eq!(found.len(), 3, "{query}");
        assert!(asked <= pages && found.is_sorted_by(|a, b| a > b), "{query}: {asked} pages");
    }
    let newest = activity::log(&mut conn, org, &LogFilter::default(), 1).await.expect("a page").rows[0].call;
    let newer = async |conn: &mut sqlx::PgConnection, query: &str| {
        let filter = LogFilter::parse(query).expect("a filter");
        activity::count_newer(conn, org, &filter, newest).await.expect("a count")
    };
    assert_eq!(newer(&mut conn, "").await, 0);
    lab.call(now() + TimeDelta::seconds(5), "lab/rare", "0.01").await;
    assert_eq!(newer(&mut conn, "").await, 1);
    assert_eq!((newer(&mut conn, "model=lab%2Frare").await, newer(&mut conn, "min=1").await), (1, 0));
    drop(conn);
    assert_clean(&pool).await;
}

async fn number(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.expect("a number")
}

/// Every figure of the hours of an organization.
async fn sums(pool: &PgPool, lab: &Lab) -> activity::Totals {
    let mut conn = pool.acquire().await.expect("a connection");
    let all = Span { from: at("2020-01-01T00:00:00Z"), to: at("2100-01-01T00:00:00Z") };
    activity::totals(&mut conn, lab.tenant.org, all, &Slice::default()).await.expect("sums")
}

pub async fn calls_whose_time_is_over_go_and_the_books_stay_exact(pool: PgPool) {
    let (lab, other) = (Lab::new(&pool).await, Lab::new(&pool).await);
    let old = now() - TimeDelta::days(100);
    let desk = desk(&pool, std::time::Duration::from_secs(900));
    for hours in 0..30 {
        lab.call(old + TimeDelta::hours(hours), "lab/m", "0.001").await;
        lab.call(now() - TimeDelta::hours(hours), "lab/m", "0.002").await;
        other.call(old + TimeDelta::hours(hours), "lab/m", "0.003").await;
    }
    // One that cost more than its hold, and one that was refused.
    let mut dear = lab.tenant.call_at(old);
    dear.meters = vec![lab.tenant.key_meter.0, lab.tenant.member_meter.0];
    let held = hold(&desk, &dear, "0.2").await;
    lab.settler.settle(dear.clone(), held, answered("0.3")).await;
    lab.settler.reject(lab.tenant.call_at(old), refused()).await;
    for _ in 0..100 {
        if rows(&pool, lab.tenant.org).await == 62 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_clean(&pool).await;
    let (before, posted) = (sums(&pool, &lab).await, lab.tenant.posted(&pool).await);
    sqlx::query(
        "insert into call_text (org_id, call_id, data_key, nonce, ciphertext, request_bytes, response_bytes, expires_at)
         select org_id, id, gen_random_uuid(), '', '', 1, 1, now() + interval '1 year' from usage",
    )
    .execute(&pool)
    .await
    .expect("texts");

    let mut conn = pool.acquire().await.expect("a connection");
    activity::set_own_days(&mut conn, lab.tenant.org, Some(90)).await.expect("set");
    drop(conn);
    // Two keepers at once delete each call once.
    let forever = Retention::default();
    let (one, two) =
        tokio::join!(activity::keep_once(&pool, forever, now()), activity::keep_once(&pool, forever, now()));
    assert_eq!(one.expect("a round").closed + two.expect("a round").closed, 32);
    assert_eq!((rows(&pool, lab.tenant.org).await, rows(&pool, other.tenant.org).await), (30, 30));
    let without = "select count(*) from call_text t where not exists (select from usage u where u.id = t.call_id)";
    assert_eq!((number(&pool, without).await, number(&pool, "select count(*) from call_text").await), (0, 60));
    assert_clean(&pool).await;
    assert_eq!(sums(&pool, &lab).await, before, "figures of the past do not change");
    assert_eq!(lab.tenant.posted(&pool).await, posted);
    assert_eq!(number(&pool, "select sum(calls)::bigint from usage_closed").await, 31, "what cost nothing is not kept");
    let again = activity::keep_once(&pool, forever, now()).await.expect("a round");
    assert_eq!(again.closed, 0);

    // The same settlement again, weeks later, from a spool that turned up: it was paid, or it cannot be proven.
    lab.settler.settle(dear, usd("0.2"), answered("0.3")).await;
    assert_eq!(lab.tenant.posted(&pool).await, posted, "nothing is charged twice");
    assert_eq!(rows(&pool, lab.tenant.org).await, 30);
    // One of then whose hold is still open is settled as ever, and goes with the next round.
    let late = lab.tenant.call_at(old + TimeDelta::hours(1));
    let held = hold(&desk, &late, "0.5").await;
    lab.settler.settle(late, held, answered("0.4")).await;
    assert_eq!(lab.tenant.posted(&pool).await, posted - usd("0.4"));
    assert_clean(&pool).await;
    assert_eq!(activity::keep_once(&pool, forever, now()).await.expect("a round").closed, 1);
    assert_clean(&pool).await;

    // What is kept is audited like the calls were.
    for (tamper, mend) in [
        ("update usage_closed set cost = cost + 1", "update usage_closed set cost = cost - 1"),
        ("update usage_closed set overrun = overrun + 1", "update usage_closed set overrun = overrun - 1"),
        (
            "update usage_hour set failed = failed + 1 where hour < now() - interval '95 days'",
            "update usage_hour set failed = failed - 1 where hour < now() - interval '95 days'",
        ),
        (
            "update usage_closed_until set prompt_tokens = prompt_tokens + 1",
            "update usage_closed_until set prompt_tokens = prompt_tokens - 1",
        ),
    ] {
        sqlx::raw_sql(tamper).execute(&pool).await.expect("tampered");
        let report = farebox::gateway::reconcile::verify_now(&pool).await.expect("an audit");
        assert!(!report.is_clean(), "{tamper} was not found");
        sqlx::raw_sql(mend).execute(&pool).await.expect("mended");
        assert_clean(&pool).await;
    }
    // The instance says fewer days for everybody: the other one's old calls go too.
    let kept = activity::keep_once(&pool, Retention { days: Some(60) }, now()).await.expect("a round");
    assert_eq!(kept.closed, 30);
    assert_clean(&pool).await;
}

pub async fn a_kill_while_calls_are_deleted_loses_none(pool: PgPool) {
    let lab = Lab::new(&pool).await;
    for hours in 0..5 {
        lab.call(now() - TimeDelta::days(100) + TimeDelta::hours(hours), "lab/m", "0.001").await;
    }
    let before = sums(&pool, &lab).await;
    let mut conn = pool.acquire().await.expect("a connection");
    activity::set_own_days(&mut conn, lab.tenant.org, Some(90)).await.expect("set");
    drop(conn);
    // The last thing that a deletion writes is this row, so with the calls gone it waits here.
    let mut other = pool.begin().await.expect("a transaction");
    sqlx::query("insert into usage_closed_until values ($1, date_trunc('hour', now(), 'UTC'), 0, 0, 0, 0, 0, 0, 0, 0)")
        .bind(lab.tenant.org.0)
        .execute(&mut *other)
        .await
        .expect("a row");
    let (mine, after) = (pool.clone(), now());
    let keeper = tokio::spawn(async move { activity::keep_once(&mine, Retention::default(), after).await });
    let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database()
        and wait_event_type = 'Lock' and wait_event = 'transactionid' and query like '%close_usage(%'";
    for _ in 0..500 {
        if number(&pool, kill).await == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(keeper.await.expect("no panic").is_err(), "it was killed in the middle");
    other.rollback().await.expect("rolled back");
    assert_eq!(rows(&pool, lab.tenant.org).await, 5, "all calls are back");
    assert_eq!(sums(&pool, &lab).await, before);
    assert_clean(&pool).await;
    assert_eq!(activity::keep_once(&pool, Retention::default(), now()).await.expect("a round").closed, 5);
    assert_eq!(sums(&pool, &lab).await, before);
    assert_clean(&pool).await;
}

pub async fn every_month_has_its_part_and_a_call_without_one_is_told_and_moved(pool: PgPool) {
    calendar::within_a_day().await;
    let lab = Lab::new(&pool).await;
    let parts = "select count(*) from pg_inherits where inhparent = 'usage'::regclass";
    let there = number(&pool, parts).await;
    assert!(there >= 6, "before, default, this month and three more: {there}");
    // One more, where a month has begun since the database was made.
    assert!(activity::make_parts(&pool).await.expect("made") <= 1);
    let there = number(&pool, parts).await;
    assert_eq!(activity::make_parts(&pool).await.expect("made"), 0, "they are there");
    let far = now() + TimeDelta::days(200);
    lab.call(far, "lab/m", "0.01").await;
    assert_eq!(number(&pool, "select count(*) from only usage_default").await, 1, "it is taken all the same");
    let kept = activity::keep_once(&pool, Retention::default(), now()).await.expect("a round");
    assert_eq!((kept.strays, kept.made), (1, 1));
    assert_eq!(number(&pool, "select count(*) from only usage_default").await, 0);
    assert_eq!(number(&pool, parts).await, there + 1);
    // An id leads to its part and to no other.
    let plan: Vec<String> = sqlx::query_scalar(
        "explain (costs off) select * from usage where org_id = '00000000-0000-7000-8000-000000000000'
            and id = call_floor(now())",
    )
    .fetch_all(&pool)
    .await
    .expect("a plan");
    assert_eq!(plan.iter().filter(|line| line.contains("usage_2")).count(), 1, "{plan:#?}");
    // A part in which nothing is left goes when its month is long over.
    let later = far + TimeDelta::days(200);
    let kept = activity::keep_once(&pool, Retention { days: Some(60) }, later).await.expect("a round");
    assert_eq!(kept.closed, 1);
    assert!(kept.dropped >= 4, "{kept:?}");
    assert_eq!(rows(&pool, lab.tenant.org).await, 0);
    assert_clean(&pool).await;
    // A call of such a month finds a place again.
    lab.call(now(), "lab/m", "0.01").await;
    activity::keep_once(&pool, Retention::default(), now()).await.expect("a round");
    assert_eq!(number(&pool, "select count(*) from only usage_default").await, 0);
    assert_clean(&pool).await;
}
