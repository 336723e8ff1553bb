//! Calls on provider accounts of an organization's own, in the books: the fee, the allowance to the last digit, limits
//! that count what the provider takes, and the discount.

use std::time::Duration;

use farebox::base::Usd;
use farebox::gateway::spool::Spool;
use farebox::gateway::sweep::{self, HoldMemo};
use farebox::gateway::{Call, Ended, Settler, Terms};
use farebox::ledger::{self, Byok, Desk, Granted, Limits, Refused, Want};
use farebox::routing::Fee;
use futures_util::future::join_all;
use rust_decimal::Decimal;
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::calls::{Tenant, answered, assert_clean, desk, usd};
use super::support::{calendar, cluster};

const LONG: Duration = Duration::from_secs(900);

async fn pool() -> PgPool {
    PgPool::connect(&cluster::database().await).await.expect("the database")
}

fn settler(pool: &PgPool) -> (Settler, TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(dir.path()).expect("a spool");
    (Settler::start(&Handle::current(), pool.clone(), spool), dir)
}

fn part(text: &str) -> Decimal {
    text.parse().expect("a number")
}

fn terms(allowance: &str) -> Terms {
    let fee = Fee { rate: part("0.05"), allowance: usd(allowance) };
    Terms { fee: Some(fee), discount: Decimal::ZERO, held_byok: Usd::ZERO }
}

/// What a call on an account of their own at this list price comes to.
fn own(list: &str, terms: Terms, granted: Granted) -> Ended {
    Ended { terms: Terms { held_byok: granted.byok, ..terms }, ..answered(list) }
}

async fn hold(desk: &Desk, call: &Call, fee: &str, list: &str) -> Result<Granted, Refused> {
    let byok = Byok { most: usd(list), least: usd(list) };
    let (most, least) = (usd(fee), usd(fee));
    let memo = HoldMemo::text_of(call);
    desk.reserve(Want { call: call.id, org: call.org, meters: call.meter_ids(), most, least, byok, memo }).await
}

async fn sum(pool: &PgPool, tenant: &Tenant, what: &str) -> Usd {
    let query = format!("select coalesce(sum({what}), 0) from usage where org_id = $1");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(tenant.org.0).fetch_one(pool).await.expect("a sum")
}

async fn used(pool: &PgPool, tenant: &Tenant) -> Usd {
    let query = "select coalesce(sum(used), 0) from own_month where org_id = $1";
    sqlx::query_scalar(query).bind(tenant.org.0).fetch_one(pool).await.expect("a sum")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_allowance_is_used_to_the_last_digit_by_two_processes_at_once() {
    calendar::within_a_day().await;
    let pool = pool().await;
    let tenant = Tenant::with_credits(&pool, "100").await;
    let (one, _dir_one) = settler(&pool);
    let (two, _dir_two) = settler(&pool);
    let desk = desk(&pool, LONG);
    // 80 calls at 1.000000000001 each; 30.5 of them are free, in whatever order they come.
    let calls = (0..80_usize).map(|at| {
        let (desk, settler) = (desk.clone(), if at % 2 == 0 { one.clone() } else { two.clone() });
        async move {
            let call = tenant.call();
            let granted = hold(&desk, &call, "0.06", "1.2").await.expect("a hold");
            settler.settle(call, granted.amount, own("1.000000000001", terms("30.5"), granted)).await
        }
    });
    let receipts = join_all(calls).await;
    assert_eq!(used(&pool, &tenant).await, usd("80.00000000008"));
    assert_eq!(sum(&pool, &tenant, "byok_free").await, usd("30.5"), "neither more nor less");
    let charged: Usd = receipts.iter().map(|receipt| receipt.charged).sum();
    assert_eq!(sum(&pool, &tenant, "cost").await, charged, "each was told what it was charged");
    assert_eq!(tenant.posted(&pool).await, usd("100") - charged);
    // The fee of each call is rounded by itself: 79 half-units of the last digit at most.
    let exact = usd("2.475000000004");
    assert!((charged - exact).amount().abs() < part("0.00000000008"), "{charged}");
    let free = receipts.iter().filter(|receipt| receipt.charged.is_zero()).count();
    assert_eq!(free, 30, "and one is half free");
    let overrun = receipts.iter().any(|receipt| receipt.overrun.is_positive());
    assert!(!overrun);
    let fees: Usd = sqlx::query_scalar(
        "select coalesce(sum(amount), 0) from transfer where code = 'usage'
            and credit_account = '00000000-0000-7000-8000-000000000004'",
    )
    .fetch_one(&pool)
    .await
    .expect("a sum");
    assert_eq!(fees, charged, "fees are revenue of their own kind");
    let meter = meter(&pool, &tenant).await;
    assert_eq!((meter.spent.total, meter.byok.total), (charged, usd("80.00000000008")));
    assert_eq!((meter.held, meter.held_byok), (Usd::ZERO, Usd::ZERO));
    assert_clean(&pool).await;
}

async fn meter(pool: &PgPool, tenant: &Tenant) -> ledger::MeterState {
    let mut conn = pool.acquire().await.expect("a connection");
    let found = ledger::meter_states(&mut conn, tenant.org, &[tenant.key_meter]).await.expect("a meter");
    found.into_iter().next().expect("a meter")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_call_twice_counts_once_in_the_allowance() {
    calendar::within_a_day().await;
    let pool = pool().await;
    let tenant = Tenant::with_credits(&pool, "100").await;
    let (one, _dir_one) = settler(&pool);
    let (two, _dir_two) = settler(&pool);
    let desk = desk(&pool, LONG);
    for _ in 0..5 {
        let call = tenant.call();
        let granted = hold(&desk, &call, "0.5", "10").await.expect("a hold");
        let tries = (0..12).map(|at| {
            let settler = if at % 2 == 0 { &one } else { &two };
            settler.settle(call.clone(), granted.amount, own("10", terms("25"), granted))
        });
        let receipts = join_all(tries).await;
        let first = receipts[0].charged;
        assert!(receipts.iter().all(|receipt| receipt.charged == first), "{receipts:?}");
    }
    assert_eq!(used(&pool, &tenant).await, usd("50"));
    assert_eq!(tenant.posted(&pool).await, usd("98.75"), "five percent of 25");
    assert_clean(&pool).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_in_between_gives_back_all_that_it_held() {
    let pool = pool().await;
    let tenant = Tenant::with_credits(&pool, "1").await;
    let desk = desk(&pool, Duration::ZERO);
    let call = tenant.call();
    let granted = hold(&desk, &call, "0.06", "1.2").await.expect("a hold");
    assert_eq!((granted.amount, granted.byok), (usd("0.06"), usd("1.2")), "nobody's credit is held for the provider");
    assert_eq!(tenant.credit(&pool).await.held, usd("0.06"));
    assert_eq!(meter(&pool, &tenant).await.held_byok, usd("1.2"));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(sweep::sweep_once(&pool).await.expect("swept"), 1);
    assert_eq!(meter(&pool, &tenant).await.held_byok, Usd::ZERO);
    // Its settlement turns up after all: proof that the sweeper did not have.
    let (settler, _dir) = settler(&pool);
    let receipt = settler.settle(call, granted.amount, own("1", terms("0.5"), granted)).await;
    assert_eq!(receipt.charged, usd("0.025"));
    assert_eq!(used(&pool, &tenant).await, usd("1"));
    assert_eq!(meter(&pool, &tenant).await.byok.total, usd("1"));
    assert_clean(&pool).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_counts_what_the_provider_takes_exactly_where_it_is_told_to() {
    let pool = pool().await;
    let tenant = Tenant::with_credits(&pool, "100").await;
    let (settler, _dir) = settler(&pool);
    let desk = desk(&pool, LONG);
    let limit = |include: bool| {
        let pool = pool.clone();
        async move {
            let limits = Limits { total: Some(usd("10")), ..Limits::default() };
            let mut conn = pool.acquire().await.expect("a connection");
            ledger::set_limits(&mut conn, tenant.org, tenant.key_meter, limits, include).await.expect("limits");
        }
    };
    limit(true).await;
    // Twenty at once, of which nine fit: 1.05 each is what the limit counts.
    let calls: Vec<Call> = (0..20).map(|_| tenant.call()).collect();
    let holds = join_all(calls.iter().map(|call| hold(&desk, call, "0.05", "1"))).await;
    let admitted: Vec<(Call, Granted)> =
        calls.into_iter().zip(holds).filter_map(|(call, granted)| Some((call, granted.ok()?))).collect();
    assert_eq!(admitted.len(), 9);
    for (call, granted) in admitted {
        settler.settle(call, granted.amount, own("1", terms("0"), granted)).await;
    }
    let state = meter(&pool, &tenant).await;
    assert_eq!((state.spent.total, state.byok.total), (usd("0.45"), usd("9")));
    let call = tenant.call();
    assert!(matches!(hold(&desk, &call, "0.05", "1").await, Err(Refused::Limit { .. })));
    // Not counted: the same limit leaves room for the fee, however much the provider takes.
    limit(false).await;
    let granted = hold(&desk, &call, "0.05", "1000").await.expect("a hold");
    // Switched back while it runs: what is held counts at once, and is released as it was held.
    limit(true).await;
    let other = tenant.call();
    assert!(matches!(hold(&desk, &other, "0.01", "0").await, Err(Refused::Limit { .. })));
    settler.settle(call, granted.amount, own("0", terms("0"), granted)).await;
    assert!(hold(&desk, &other, "0.01", "0").await.is_ok());
    settler.settle(other, usd("0.01"), answered("0.01")).await;
    assert_clean(&pool).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discount_is_taken_off_before_the_hold_caps() {
    let pool = pool().await;
    let tenant = Tenant::with_credits(&pool, "10").await;
    let (settler, _dir) = settler(&pool);
    let desk = desk(&pool, LONG);
    let discounted = |cost: &str, fee: Option<Fee>| Ended {
        terms: Terms { fee, discount: part("0.01"), held_byok: Usd::ZERO },
        ..answered(cost)
    };
    let settle = async |cost: &str, held: &str, fee| {
        let call = tenant.call();
        let granted = hold(&desk, &call, held, "0").await.expect("a hold");
        settler.settle(call, granted.amount, discounted(cost, fee)).await
    };
    let receipt = settle("0.000000000150", "1", None).await;
    assert_eq!(
        (receipt.charged, receipt.discount),
        (usd("0.000000000148"), usd("0.000000000002")),
        "half away from zero"
    );
    let receipt = settle("1", "0.5", None).await;
    assert_eq!((receipt.charged, receipt.overrun, receipt.discount), (usd("0.5"), usd("0.49"), usd("0.01")));
    let fee = Fee { rate: part("0.05"), allowance: Usd::ZERO };
    let receipt = settle("2", "1", Some(fee)).await;
    assert_eq!(
        (receipt.charged, receipt.discount),
        (usd("0.099"), usd("0.001")),
        "off the fee, where a fee is charged"
    );
    assert_eq!(sum(&pool, &tenant, "discount").await, usd("0.011000000002"));
    assert_clean(&pool).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_spool_replays_counts_once() {
    let pool = pool().await;
    let tenant = Tenant::with_credits(&pool, "10").await;
    let desk = desk(&pool, LONG);
    let dir = tempfile::tempdir().expect("a folder");
    let call = tenant.call();
    let granted = hold(&desk, &call, "0.05", "1").await.expect("a hold");
    {
        // A database that nobody answers for.
        let options = sqlx::postgres::PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(1);
        let options = options.username("x").database("x");
        let nowhere = sqlx::postgres::PgPoolOptions::new().acquire_timeout(Duration::from_millis(200));
        let spool = Spool::open(dir.path()).expect("a spool");
        let away = Settler::start(&Handle::current(), nowhere.connect_lazy_with(options), spool);
        let receipt = away.settle(call.clone(), granted.amount, own("1", terms("0.4"), granted)).await;
        assert_eq!(receipt.durable, farebox::gateway::Durable::Spooled);
    }
    let again = tempfile::tempdir().expect("a folder");
    let settler = Settler::start(&Handle::current(), pool.clone(), Spool::open(again.path()).expect("a spool"));
    let receipt = settler.settle(call.clone(), granted.amount, own("1", terms("0.4"), granted)).await;
    assert_eq!(receipt.charged, usd("0.03"));
    let back = Settler::start(&Handle::current(), pool.clone(), Spool::open(dir.path()).expect("a spool"));
    for _ in 0..50 {
        if back.recover().await.is_ok_and(|replayed| replayed.settled > 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(used(&pool, &tenant).await, usd("1"));
    assert_eq!(tenant.posted(&pool).await, usd("9.97"));
    assert_clean(&pool).await;
}
