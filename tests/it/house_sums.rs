//! The sums of all organizations: at every moment those of everybody's hours, whatever is counted meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use farebox::activity::sum_house;
use farebox::base::Usd;
use farebox::gateway::{Ended, Terms};
use farebox::ledger::Granted;
use farebox::routing::Fee;
use rust_decimal::Decimal;
use sqlx::PgPool;

use super::activity::Lab;
use super::calls::{Tenant, answered, assert_clean, now, usd};
use super::support::{calendar, cluster};

const RULE: &str = "sums of all organizations = sums per hour";

/// What the two ways do not agree on, over some spans, in one look at the database.
const DIFFERENCES: &str = "
    with spans as (
        select date_trunc('hour', now(), 'UTC') - make_interval(hours => first) as since,
            date_trunc('hour', now(), 'UTC') - make_interval(hours => last) as until
        from (values (10000, -2), (60, 0), (50, 20), (30, 29), (6, 2)) s(first, last)
    ), house as (
        select s.since, s.until, h.hour, h.model, h.provider, sum(h.requests) as requests, sum(h.failed) as failed,
            sum(h.prompt_tokens) as prompt, sum(h.completion_tokens) as completion, sum(h.cached_tokens) as cached,
            sum(h.cost) as cost, sum(h.aside) as aside
        from spans s cross join lateral house_used(s.since, s.until) h group by 1, 2, 3, 4, 5
    ), hours as (
        select s.since, s.until, h.hour, h.model, h.provider, sum(h.requests) as requests, sum(h.failed) as failed,
            coalesce(sum(h.prompt_tokens) filter (where h.upstream_cost = 0), 0) as prompt,
            coalesce(sum(h.completion_tokens) filter (where h.upstream_cost = 0), 0) as completion,
            coalesce(sum(h.cached_tokens) filter (where h.upstream_cost = 0), 0) as cached,
            coalesce(sum(h.cost) filter (where h.upstream_cost = 0), 0) as cost,
            coalesce(sum(h.cost) filter (where h.upstream_cost > 0), 0) as aside
        from spans s join usage_hour h on h.hour >= s.since and h.hour < s.until group by 1, 2, 3, 4, 5
    )
    select count(*) from (
        (select * from house except select * from hours) union all (select * from hours except select * from house)
    ) d";

async fn number(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.expect("a number")
}

async fn both_ways_agree(pool: &PgPool) {
    assert_eq!(number(pool, DIFFERENCES).await, 0);
}

/// A call on an account of the organization's own.
fn own(list: &str) -> Ended {
    let fee = Fee { rate: Decimal::new(5, 2), allowance: Usd::ZERO };
    Ended { terms: Terms { fee: Some(fee), discount: Decimal::ZERO, held_byok: Usd::ZERO }, ..answered(list) }
}

async fn call(lab: &Lab, at: DateTime<Utc>, model: &str, ended: Ended) {
    let granted = Granted { amount: usd("1"), byok: Usd::ZERO };
    let ended = Ended { model: model.into(), ..ended };
    lab.settler.settle(lab.tenant.call_at(at), granted.amount, ended).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_counted_late_is_in_the_sums_at_once_and_a_changed_one_is_found() {
    calendar::within_an_hour().await;
    let pool = PgPool::connect(&cluster::database().await).await.expect("the database");
    let labs = [Lab::new(&pool).await, Lab::of(&pool, Tenant::with_credits(&pool, "1000").await)];
    let now = now();
    both_ways_agree(&pool).await;
    assert_eq!(sum_house(&pool, now).await.expect("done"), 0, "nobody called");
    for hours in 0..50 {
        for (lab, models) in labs.iter().zip([3, 2]) {
            for model in 0..models {
                let cost = format!("0.0000{:02}000{model:03}", hours + 1);
                call(lab, now - TimeDelta::hours(hours), &format!("lab/m{model}"), answered(&cost)).await;
            }
        }
        if hours % 5 == 0 {
            call(&labs[0], now - TimeDelta::hours(hours), "lab/m1", own("0.25")).await;
        }
    }
    both_ways_agree(&pool).await;
    // The hours of calls of before are marked although nothing is summed yet; the sums take the marks with them.
    assert_eq!(sum_house(&pool, now).await.expect("done"), 46, "hours that are over for three");
    assert_eq!(number(&pool, "select count(distinct hour) from house_hour").await, 46);
    both_ways_agree(&pool).await;
    assert_clean(&pool).await;
    assert_eq!(sum_house(&pool, now).await.expect("done"), 0, "nothing is left to do");

    // What waited in a spool: an hour of which nothing is summed, one that is, and an own account that comes to both.
    for (hours, ended) in [(30, answered("0.5")), (30, own("0.125")), (200, own("1")), (1, answered("0.25"))] {
        call(&labs[1], now - TimeDelta::hours(hours), "lab/late", ended).await;
        both_ways_agree(&pool).await;
    }
    assert_eq!(number(&pool, "select count(distinct hour) from house_late").await, 2);
    assert_clean(&pool).await;
    assert_eq!(sum_house(&pool, now).await.expect("done"), 2);
    assert_eq!(number(&pool, "select count(*) from house_late").await, 0);
    both_ways_agree(&pool).await;
    assert_clean(&pool).await;

    // A clock that is ahead sums nothing early.
    assert_eq!(sum_house(&pool, now + TimeDelta::hours(20)).await.expect("done"), 0);
    both_ways_agree(&pool).await;

    // Whoever changes a sum is found, and by its name.
    for change in [
        "update house_hour set cost = cost + 0.000000000001 where model = 'lab/m0'",
        "update house_hour set requests = requests + 1 where model = 'lab/m1'",
        "delete from house_hour where model = 'lab/m2'",
    ] {
        let mut tx = pool.begin().await.expect("a transaction");
        sqlx::query(change).execute(&mut *tx).await.expect("changed");
        let report = farebox::gateway::reconcile::verify(&mut tx).await.expect("an audit");
        assert!(!report.drifts.is_empty() && report.drifts.iter().all(|drift| drift.rule == RULE), "{report:?}");
    }
}

/// Two processes sum, two organizations are counted in hours that are summed already, and somebody looks all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counting_and_summing_at_once_loses_nothing() {
    let pool = PgPool::connect(&cluster::database().await).await.expect("the database");
    let now = now();
    let ended = Arc::new(AtomicBool::new(false));
    let (mut callers, mut others) = (Vec::new(), Vec::new());
    for number in 0..2_i64 {
        let lab = Lab::of(&pool, Tenant::with_credits(&pool, "1000").await);
        callers.push(tokio::spawn(async move {
            for round in 0..60_i64 {
                let at = now - TimeDelta::hours(4 + (round * 7 + number) % 20);
                call(&lab, at, &format!("lab/m{}", round % 3), answered("0.000001")).await;
            }
        }));
    }
    for _ in 0..2 {
        let (pool, ended) = (pool.clone(), Arc::clone(&ended));
        others.push(tokio::spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                sum_house(&pool, now).await.expect("done");
            }
        }));
    }
    let (looking, over) = (pool.clone(), Arc::clone(&ended));
    others.push(tokio::spawn(async move {
        while !over.load(Ordering::Relaxed) {
            both_ways_agree(&looking).await;
        }
    }));
    for caller in callers {
        caller.await.expect("it called");
    }
    ended.store(true, Ordering::Relaxed);
    for other in others {
        other.await.expect("all agreed");
    }
    sum_house(&pool, now).await.expect("done");
    assert_eq!(number(&pool, "select count(*) from house_late").await, 0);
    assert_eq!(number(&pool, "select sum(requests)::bigint from house_hour").await, 120);
    both_ways_agree(&pool).await;
    assert_clean(&pool).await;
}
