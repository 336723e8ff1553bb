//! The auditor that runs always: it reads what is new, and still finds what is wrong.

use std::time::Duration;

use chrono::TimeDelta;
use farebox::gateway::reconcile::{self, Audited, Pace};
use farebox::gateway::{Ended, Terms};
use farebox::ledger::Drift;
use farebox::routing::Fee;
use rust_decimal::Decimal;
use sqlx::PgPool;

use super::activity::Lab;
use super::calls::{answered, assert_clean, now, usd};
use super::support::cluster;
use farebox::base::Usd;

/// As often as one asks, and everything that is there is kept at once.
const AT_ONCE: Pace =
    Pace { every: Duration::ZERO, rest: 0, settled_after: TimeDelta::zero(), in_flight: TimeDelta::zero() };

async fn audit(pool: &PgPool) -> Audited {
    reconcile::audit(pool, AT_ONCE).await.expect("an audit")
}

async fn run(pool: &PgPool, statement: &'static str) {
    let done = sqlx::query(statement).execute(pool).await.expect(statement);
    assert!(done.rows_affected() > 0, "{statement}");
}

async fn number(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.expect(query)
}

/// A call on an account of the organization's own.
fn own(list: &str) -> Ended {
    let fee = Fee { rate: Decimal::new(5, 2), allowance: Usd::ZERO };
    Ended { terms: Terms { fee: Some(fee), discount: Decimal::ZERO, held_byok: Usd::ZERO }, ..answered(list) }
}

/// One of each kind, begun now.
async fn call(lab: &Lab) {
    lab.call(now(), "sandbox/echo", "0.25").await;
    lab.settler.settle(lab.tenant.call(), usd("1"), own("0.5")).await;
    // Costs more than was held for it.
    lab.settler.settle(lab.tenant.call(), usd("0.01"), answered("0.03")).await;
}

/// What is kept is what all calls and transfers come to.
async fn kept_is_everything(pool: &PgPool) {
    let wrong = "select (select count(*) from meter m left join audited a on a.kind = 'meter' and a.id = m.id
            where m.spent_total <> coalesce(a.amount, 0) or m.byok_total <> coalesce(a.own, 0))
        + (select count(*) from credit c left join audited a on a.kind = 'posted' and a.id = c.org_id
            where c.posted <> coalesce(a.amount, 0))
        + (select count(*) from (select org_id, sum(used) as used from own_month group by 1) o
            left join audited a on a.kind = 'month' and a.id = o.org_id where o.used <> coalesce(a.own, 0))";
    assert_eq!(number(pool, wrong).await, 0);
    assert!(number(pool, "select count(*) from audited").await >= 4, "two meters, a balance and a month");
}

fn named(audited: &Audited, rule: &str) -> bool {
    matches!(audited, Audited::Full(drifts) if drifts.iter().any(|Drift { rule: found, .. }| found.contains(rule)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_new_is_audited_alone_and_what_is_wrong_in_it_is_found() {
    let pool = PgPool::connect(&cluster::database().await).await.expect("the database");
    let lab = Lab::new(&pool).await;
    call(&lab).await;
    assert_eq!(audit(&pool).await, Audited::Full(vec![]), "the first time");
    for _ in 0..3 {
        call(&lab).await;
        assert_eq!(audit(&pool).await, Audited::Recent);
        kept_is_everything(&pool).await;
    }
    for (tamper, mend, rule) in [
        (
            "update credit set posted = posted + 0.000000000001",
            "update credit set posted = posted - 0.000000000001",
            "posted =",
        ),
        ("update credit set held = held + 0.5", "update credit set held = held - 0.5", "held ="),
        (
            "update meter set spent_total = spent_total - 0.01 where kind = 'key'",
            "update meter set spent_total = spent_total + 0.01 where kind = 'key'",
            "spent of a meter",
        ),
        (
            "update meter set byok_total = byok_total + 0.01 where kind = 'key'",
            "update meter set byok_total = byok_total - 0.01 where kind = 'key'",
            "what providers took on a meter",
        ),
        ("update own_month set used = used + 1", "update own_month set used = used - 1", "month of an organization"),
        (
            "update usage set cost = cost + 1 where cost = 0.25",
            "update usage set cost = cost - 1 where cost = 1.25",
            "usage transfer",
        ),
        (
            "update usage set overrun = overrun + 1 where overrun > 0",
            "update usage set overrun = overrun - 1 where overrun > 1",
            "operator loss",
        ),
    ] {
        call(&lab).await;
        run(&pool, tamper).await;
        let found = audit(&pool).await;
        assert!(named(&found, rule), "{tamper}: {rule} is not in {found:?}");
        assert!(named(&audit(&pool).await, rule), "it stays until it is mended");
        assert_ne!(number(&pool, "select drifts::bigint from audit_mark").await, 0);
        run(&pool, mend).await;
        assert_eq!(audit(&pool).await, Audited::Full(vec![]), "{mend}");
        assert_eq!(number(&pool, "select drifts::bigint from audit_mark").await, 0);
        call(&lab).await;
        assert_eq!(audit(&pool).await, Audited::Recent);
        kept_is_everything(&pool).await;
    }
    assert_clean(&pool).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_is_compared_with_its_calls_when_it_is_over_and_everything_once_a_day() {
    let pool = PgPool::connect(&cluster::database().await).await.expect("the database");
    let lab = Lab::new(&pool).await;
    lab.call(now() - TimeDelta::hours(3), "sandbox/echo", "0.25").await;
    lab.settler.settle(lab.tenant.call_at(now() - TimeDelta::hours(3)), usd("1"), own("0.5")).await;
    assert_eq!(audit(&pool).await, Audited::Full(vec![]));
    let (wrong, right) =
        ("update usage_hour set requests = requests + 1", "update usage_hour set requests = requests - 1");
    run(&pool, wrong).await;
    assert_eq!(audit(&pool).await, Audited::Recent, "this hour was compared before");
    run(&pool, "update audit_mark set hours_until = hours_until - interval '5 hours'").await;
    assert!(named(&audit(&pool).await, "sums per hour"));
    run(&pool, right).await;
    assert_eq!(audit(&pool).await, Audited::Full(vec![]));
    assert_eq!(audit(&pool).await, Audited::Recent);
    // What was found right long ago and is wrong now is found when its day has come.
    run(&pool, "update usage_hour set upstream_cost = upstream_cost + 1 where upstream_cost > 0").await;
    assert_eq!(audit(&pool).await, Audited::Recent);
    run(&pool, "update audit_mark set full_due = now()").await;
    assert!(named(&audit(&pool).await, "list price per hour"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_settled_late_is_no_finding() {
    let pool = PgPool::connect(&cluster::database().await).await.expect("the database");
    let lab = Lab::new(&pool).await;
    call(&lab).await;
    assert_eq!(audit(&pool).await, Audited::Full(vec![]));
    call(&lab).await;
    assert_eq!(audit(&pool).await, Audited::Recent);
    for age in [TimeDelta::hours(2), TimeDelta::minutes(25)] {
        // From a spool: their ids are of long before what was kept.
        let then = now() - age;
        lab.call(then, "sandbox/echo", "0.25").await;
        lab.settler.settle(lab.tenant.call_at(then), usd("1"), own("0.5")).await;
        lab.settler.settle(lab.tenant.call_at(then), usd("0.01"), answered("0.03")).await;
        call(&lab).await;
        for _ in 0..2 {
            assert_eq!(audit(&pool).await, Audited::Recent);
            kept_is_everything(&pool).await;
        }
    }
    assert_eq!(number(&pool, "select count(*) from audited_late where counted").await, 6);
    // Late, but not for what was kept: only some of what is there is kept now.
    run(&pool, "update audit_mark set full_due = now()").await;
    let slow = Pace { settled_after: TimeDelta::hours(1), ..AT_ONCE };
    assert_eq!(reconcile::audit(&pool, slow).await.expect("an audit"), Audited::Full(vec![]));
    lab.call(now() - TimeDelta::minutes(25), "sandbox/echo", "0.25").await;
    assert_eq!(reconcile::audit(&pool, slow).await.expect("an audit"), Audited::Recent);
    assert_eq!(number(&pool, "select count(*) from audited_late where not counted").await, 1);
    for _ in 0..2 {
        assert_eq!(audit(&pool).await, Audited::Recent);
        kept_is_everything(&pool).await;
    }
    // What is noted is looked at like everything else.
    lab.call(now() - TimeDelta::hours(2), "sandbox/echo", "0.25").await;
    run(&pool, "update meter set spent_total = spent_total + 1 where kind = 'key'").await;
    assert!(named(&audit(&pool).await, "spent of a meter"));
    run(&pool, "update meter set spent_total = spent_total - 1 where kind = 'key'").await;
    assert_eq!(audit(&pool).await, Audited::Full(vec![]));
    // Without a note it is no finding either.
    lab.call(now() - TimeDelta::hours(2), "sandbox/echo", "0.25").await;
    run(&pool, "delete from audited_late where not counted").await;
    assert_eq!(audit(&pool).await, Audited::Full(vec![]));
    kept_is_everything(&pool).await;
    // And notes do not pile up.
    run(&pool, "update audited_late set settled_at = settled_at - interval '6 minutes'").await;
    assert_eq!(audit(&pool).await, Audited::Recent);
    assert_eq!(number(&pool, "select count(*) from audited_late").await, 0);
    assert_clean(&pool).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_audit_one_at_a_time_and_one_that_is_cut_off_leaves_nothing_half_done() {
    let pool = PgPool::connect(&cluster::database().await).await.expect("the database");
    let lab = Lab::new(&pool).await;
    let mut audits = 0;
    for round in 0..20_u64 {
        let calls = async {
            for _ in 0..3 {
                call(&lab).await;
            }
        };
        let cut_off = tokio::time::timeout(Duration::from_millis(round), reconcile::audit(&pool, AT_ONCE));
        let (one, two, _, ()) =
            tokio::join!(reconcile::audit(&pool, AT_ONCE), reconcile::audit(&pool, AT_ONCE), cut_off, calls);
        for audited in [one, two] {
            match audited {
                Ok(Audited::Nothing) => {}
                Ok(Audited::Recent) => audits += 1,
                Ok(Audited::Full(drifts)) => {
                    assert_eq!(drifts, [], "in round {round}");
                    audits += 1;
                }
                // Another one kept something between the first look and the lock.
                Err(error) => {
                    let code = error.as_database_error().and_then(|said| said.code()).map(std::borrow::Cow::into_owned);
                    assert_eq!(code.as_deref(), Some("40001"), "{error}");
                }
            }
        }
    }
    // The one that is cut off takes the mark in some rounds, and nobody audits in these.
    assert!(audits > 0, "nobody audited in twenty rounds");
    // The one that was cut off last may still hold the mark for a moment.
    for _ in 0..100 {
        if audit(&pool).await != Audited::Nothing {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    kept_is_everything(&pool).await;
    assert_clean(&pool).await;
    let hour = Pace { every: Duration::from_hours(1), ..AT_ONCE };
    assert_ne!(reconcile::audit(&pool, hour).await.expect("an audit"), Audited::Nothing);
    assert_eq!(audit(&pool).await, Audited::Nothing, "whichever node it was, the others wait as long");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_of_what_is_new_does_not_read_what_is_old() {
    const OLD: i64 = 50_000;
    /// An index over them has more.
    const FEW: i64 = 250;
    let pool = PgPool::connect(&cluster::database().await).await.expect("the database");
    let lab = Lab::new(&pool).await;
    call(&lab).await;
    assert_eq!(audit(&pool).await, Audited::Full(vec![]));
    // Of this month as the new ones where it is older than they are, and of no cost, so that they change no sum that is compared.
    sqlx::query(
        "insert into usage select r.* from (select * from usage limit 1) u, generate_series(1, $1) n,
         lateral jsonb_populate_record(null::usage, to_jsonb(u) || jsonb_build_object(
            'id', (substr(call_floor(now() - interval '3 hours' - n * interval '1 millisecond')::text, 1, 24)
                || lpad(to_hex(n), 12, '0'))::uuid,
            'created_at', now() - interval '3 hours' - n * interval '1 millisecond',
            'cost', 0, 'upstream_cost', 0, 'overrun', 0, 'transfer_id', null)) r",
    )
    .bind(OLD)
    .execute(&pool)
    .await
    .expect("old calls");
    sqlx::raw_sql("vacuum analyze usage").execute(&pool).await.expect("known");
    let alone = sqlx::postgres::PgPoolOptions::new().max_connections(1);
    let alone = alone.connect_with((*pool.connect_options()).clone()).await.expect("a connection");
    let read = async || {
        run_any(&alone, "select pg_stat_force_next_flush()").await;
        run_any(&alone, "select 1").await;
        let pages = "select sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint
            from pg_statio_user_tables
            where relname like 'usage\\_%' and relname not like 'usage_hour%' and relname not like 'usage_closed%'";
        number(&alone, pages).await
    };
    call(&lab).await;
    let before = read().await;
    assert_eq!(audit(&alone).await, Audited::Recent);
    let after = read().await;
    println!("{} pages were read for three new calls beside {OLD} old ones", after - before);
    assert!(after - before < FEW, "{} pages were read for three calls that are new", after - before);
    // In which part the old calls are depends on whether this month is older than they are.
    let pages = "select max(relpages)::bigint from pg_class where relkind = 'i' and relname like 'usage\\_%\\_pkey'
        and relname not like 'usage_hour%' and relname not like 'usage_closed%'";
    assert!(number(&pool, pages).await > FEW, "one index alone would be more");
    assert!(after > before, "the counters count");
}

async fn run_any(pool: &PgPool, statement: &'static str) {
    sqlx::query(statement).execute(pool).await.expect(statement);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_of_everything_that_does_not_end_waits_while_what_is_new_goes_on_being_audited() {
    let pool = PgPool::connect(&cluster::database().await).await.expect("the database");
    let lab = Lab::new(&pool).await;
    call(&lab).await;
    assert_eq!(audit(&pool).await, Audited::Full(vec![]));
    // Only an audit of everything reads this.
    sqlx::raw_sql("alter table redemption rename to elsewhere; update audit_mark set full_due = now()")
        .execute(&pool)
        .await
        .expect("renamed");
    // As it is by default: at once, a call that is being settled would be taken for one that came late.
    let often = Pace { every: Duration::from_millis(20), rest: 0, ..Pace::default() };
    reconcile::start_auditor(&tokio::runtime::Handle::current(), pool.clone(), often);
    wait_until(&pool, "select full_due > now() + interval '50 minutes' and until is not null from audit_mark").await;
    call(&lab).await;
    sqlx::raw_sql("create table seen as select audited_at from audit_mark").execute(&pool).await.expect("noted");
    wait_until(&pool, "select m.audited_at > s.audited_at and drifts = 0 from audit_mark m, seen s").await;
    assert_eq!(number(&pool, "select (until is null)::int::bigint from audit_mark").await, 0);
}

/// For ten seconds at most.
async fn wait_until(pool: &PgPool, question: &'static str) {
    for _ in 0..200 {
        if sqlx::query_scalar::<_, bool>(question).fetch_one(pool).await.expect(question) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within ten seconds: {question}");
}
