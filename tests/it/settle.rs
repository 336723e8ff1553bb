//! Settlement under every accident: twice, at once, without a hold, with bad data, while the database is away,
//! and with the process gone in the middle.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farebox::base::Usd;
use farebox::base::ids::CallId;
use farebox::gateway::spool::Spool;
use farebox::gateway::{Call, Durable, Receipt, Settler, sweep};
use futures_util::future::join_all;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::calls::{Tenant, answered, assert_clean, desk, hold, now, refused, rows, usd};

const LONG: Duration = Duration::from_secs(900);

fn settler(pool: &PgPool) -> (Settler, Spool, TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(dir.path()).expect("a spool");
    (Settler::start(&Handle::current(), pool.clone(), spool.clone()), spool, dir)
}

/// A database that nobody answers for.
fn nowhere() -> PgPool {
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(1).username("x").database("x");
    PgPoolOptions::new().acquire_timeout(Duration::from_millis(200)).connect_lazy_with(options)
}

async fn wait_until_replayed(settler: &Settler, spool: &Spool) {
    for _ in 0..100 {
        if spool.is_empty() {
            return;
        }
        settler.recover().await.ok();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the spool was not replayed within ten seconds");
}

pub async fn a_call_is_charged_once_and_logged(pool: PgPool) {
    let tenant = Tenant::with_credits(&pool, "10").await;
    let (settler, _, _dir) = settler(&pool);
    let call = tenant.call();
    let held = hold(&desk(&pool, LONG), &call, "1").await;
    let receipt = settler.settle(call.clone(), held, answered("0.000000000123")).await;
    let expected = Receipt {
        charged: usd("0.000000000123"),
        overrun: Usd::ZERO,
        discount: Usd::ZERO,
        durable: Durable::Committed,
    };
    assert_eq!(receipt, expected);
    assert_eq!(tenant.posted(&pool).await, usd("9.999999999877"));
    assert_eq!(tenant.credit(&pool).await.held, Usd::ZERO);
    assert_eq!(settler.settle(call.clone(), held, answered("0.000000000123")).await, expected, "the second time");
    assert_eq!(settler.settle(call, held, answered("5")).await, expected, "the first time counts");
    assert_eq!(rows(&pool, tenant.org).await, 1);
    assert_clean(&pool).await;
}

pub async fn the_same_call_many_times_at_once_is_one_call(pool: PgPool) {
    let tenant = Tenant::with_credits(&pool, "10").await;
    let (one, _, _dir_one) = settler(&pool);
    let (two, _, _dir_two) = settler(&pool);
    let desk = desk(&pool, LONG);
    for _ in 0..5 {
        let call = tenant.call();
        let held = hold(&desk, &call, "1").await;
        let tries = (0..20).map(|at| {
            let settler = if at % 2 == 0 { &one } else { &two };
            settler.settle(call.clone(), held, answered("0.25"))
        });
        let receipts = join_all(tries).await;
        assert!(receipts.iter().all(|receipt| receipt.charged == usd("0.25")), "{receipts:?}");
    }
    assert_eq!(tenant.posted(&pool).await, usd("8.75"));
    assert_eq!(rows(&pool, tenant.org).await, 5);
    assert_clean(&pool).await;
}

pub async fn many_organizations_settle_at_once_on_two_processes(pool: PgPool) {
    let (one, _, _dir_one) = settler(&pool);
    let (two, _, _dir_two) = settler(&pool);
    let desk = desk(&pool, LONG);
    let mut tenants = Vec::new();
    for _ in 0..6 {
        tenants.push(Tenant::with_credits(&pool, "100").await);
    }
    let calls = (0..600_usize).map(|at| {
        let (tenant, desk) = (tenants[at % 6], desk.clone());
        let settler = if at % 2 == 0 { one.clone() } else { two.clone() };
        async move {
            let call = tenant.call();
            let held = hold(&desk, &call, "0.02").await;
            settler.settle(call, held, answered("0.013")).await
        }
    });
    let receipts = join_all(calls).await;
    assert!(receipts.iter().all(|receipt| receipt.durable == Durable::Committed), "no deadlock, nothing spooled");
    for tenant in tenants {
        assert_eq!(tenant.posted(&pool).await, usd("98.7"));
    }
    assert_clean(&pool).await;
}

pub async fn the_customer_never_pays_more_than_was_held(pool: PgPool) {
    let tenant = Tenant::with_credits(&pool, "10").await;
    let (settler, _, _dir) = settler(&pool);
    let call = tenant.call();
    let held = hold(&desk(&pool, LONG), &call, "0.5").await;
    let receipt = settler.settle(call, held, answered("0.75")).await;
    assert_eq!((receipt.charged, receipt.overrun), (usd("0.5"), usd("0.25")));
    assert_clean(&pool).await;
}

pub async fn a_hold_that_a_crash_of_the_database_lost_is_charged_once(pool: PgPool) {
    let tenant = Tenant::with_credits(&pool, "10").await;
    let (one, _, _dir_one) = settler(&pool);
    let (two, _, _dir_two) = settler(&pool);
    let call = tenant.call();
    // No hold was ever made durable; the call went on all the same.
    let tries = (0..10).map(|at| {
        let settler = if at % 2 == 0 { &one } else { &two };
        settler.settle(call.clone(), usd("1"), answered("0.25"))
    });
    let receipts = join_all(tries).await;
    assert!(receipts.iter().all(|receipt| receipt.charged == usd("0.25")), "{receipts:?}");
    assert_eq!(tenant.posted(&pool).await, usd("9.75"));
    assert_eq!(rows(&pool, tenant.org).await, 1);
    assert_clean(&pool).await;
}

pub async fn a_lost_hold_never_takes_the_balance_below_zero(pool: PgPool) {
    let tenant = Tenant::with_credits(&pool, "0.10").await;
    let (settler, _, _dir) = settler(&pool);
    let receipt = settler.settle(tenant.call(), usd("1"), answered("0.25")).await;
    assert_eq!((receipt.charged, receipt.overrun), (usd("0.1"), usd("0.15")));
    assert_eq!(tenant.posted(&pool).await, Usd::ZERO);
    assert_clean(&pool).await;
}

pub async fn an_abandoned_call_costs_nothing_until_its_proof_turns_up(pool: PgPool) {
    let tenant = Tenant::with_credits(&pool, "10").await;
    let (settler, _, _dir) = settler(&pool);
    let desk = desk(&pool, Duration::from_millis(1));
    let (lost, late) = (tenant.call(), tenant.call());
    hold(&desk, &lost, "1").await;
    let held = hold(&desk, &late, "1").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(sweep::sweep_once(&pool).await.expect("swept"), 2);
    assert_eq!(sweep::sweep_once(&pool).await.expect("swept"), 0);
    assert_eq!(tenant.credit(&pool).await.held, Usd::ZERO);
    assert_eq!(rows(&pool, tenant.org).await, 2);
    assert_clean(&pool).await;

    let receipt = settler.settle(late.clone(), held, answered("0.25")).await;
    assert_eq!(receipt.charged, usd("0.25"));
    let again = settler.settle(late.clone(), held, answered("0.25")).await;
    assert_eq!(again.charged, usd("0.25"));
    assert_eq!(tenant.posted(&pool).await, usd("9.75"));
    let statuses: Vec<String> = sqlx::query_scalar("select status from usage where org_id = $1 order by id")
        .bind(tenant.org.0)
        .fetch_all(&pool)
        .await
        .expect("rows");
    assert_eq!(statuses, ["abandoned", "success"]);
    assert_clean(&pool).await;
}

pub async fn refused_calls_are_logged_and_cost_nothing(pool: PgPool) {
    let tenant = Tenant::with_credits(&pool, "10").await;
    let (settler, _, _dir) = settler(&pool);
    for _ in 0..20 {
        settler.reject(tenant.call(), refused()).await;
    }
    for _ in 0..100 {
        if rows(&pool, tenant.org).await == 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(rows(&pool, tenant.org).await, 20);
    assert_eq!(tenant.posted(&pool).await, usd("10"));
    assert_clean(&pool).await;
}

pub async fn one_bad_row_sinks_no_other(pool: PgPool) {
    let tenant = Tenant::with_credits(&pool, "10").await;
    let (settler, spool, dir) = settler(&pool);
    let desk = desk(&pool, LONG);
    let mut calls = Vec::new();
    for at in 0..30 {
        let mut call = tenant.call();
        call.app = format!("with a NUL \0 and {}", "long ".repeat(100));
        let held = hold(&desk, &call, "0.1").await;
        // The books have no place for this amount.
        let cost = if at == 7 { "900000000000" } else { "0.01" };
        let mut ended = answered(cost);
        if at == 7 {
            ended.cost = ended.cost + ended.cost;
        }
        calls.push((call, held, ended));
    }
    let receipts = join_all(calls.into_iter().map(|(call, held, ended)| settler.settle(call, held, ended))).await;
    let spooled: Vec<usize> =
        receipts.iter().enumerate().filter(|(_, one)| one.durable == Durable::Spooled).map(|(at, _)| at).collect();
    assert_eq!(spooled, [7]);
    assert_eq!(rows(&pool, tenant.org).await, 29);
    wait_until_replayed(&settler, &spool).await;
    let dead = std::fs::read_dir(dir.path().join("spool/dead")).expect("a folder").count();
    assert_eq!(dead, 1, "the operator finds what could not be written");
    assert_clean(&pool).await;
}

pub async fn while_the_database_is_away_calls_are_kept_and_replayed_once(pool: PgPool) {
    let tenant = Tenant::with_credits(&pool, "10").await;
    let desk = desk(&pool, LONG);
    let dir = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(dir.path()).expect("a spool");
    let away = Settler::start(&Handle::current(), nowhere(), spool.clone());
    let mut calls = Vec::new();
    for _ in 0..50 {
        let call = tenant.call();
        let held = hold(&desk, &call, "0.1").await;
        calls.push((call, held));
    }
    let settled = join_all(calls.iter().map(|(call, held)| away.settle(call.clone(), *held, answered("0.01")))).await;
    let kept = Receipt { charged: usd("0.01"), overrun: Usd::ZERO, discount: Usd::ZERO, durable: Durable::Spooled };
    assert!(settled.iter().all(|receipt| *receipt == kept), "{settled:?}");
    assert_eq!(spool.depth(), 50);
    assert_eq!(tenant.posted(&pool).await, usd("10"));

    // What is on disk now turns up once more after it was replayed, as after a crash between commit and deletion.
    let files: Vec<_> = std::fs::read_dir(dir.path().join("spool"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .collect();
    let copies: Vec<_> = files.iter().map(|path| (path.with_extension("copy"), path)).collect();
    for (copy, path) in &copies {
        std::fs::copy(path, copy).expect("copied");
    }
    let back = Settler::start(&Handle::current(), pool.clone(), spool.clone());
    wait_until_replayed(&back, &spool).await;
    assert_eq!(tenant.posted(&pool).await, usd("9.5"));
    for (copy, path) in &copies {
        std::fs::rename(copy, path).expect("renamed");
    }
    assert_eq!(back.recover().await.expect("replayed").settled, 50);
    assert_eq!(tenant.posted(&pool).await, usd("9.5"));
    assert_eq!(rows(&pool, tenant.org).await, 50);
    assert!(spool.is_empty());
    assert_clean(&pool).await;
}

pub async fn connections_that_die_in_the_middle_lose_and_double_nothing(pool: PgPool) {
    let tenant = Tenant::with_credits(&pool, "100").await;
    let desk = desk(&pool, LONG);
    let options = (*pool.connect_options()).clone().application_name("victim");
    let weak =
        PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(1)).connect_lazy_with(options);
    let (settler, spool, _dir) = settler(&weak);
    let mut calls = Vec::new();
    for _ in 0..400 {
        let call = tenant.call();
        let held = hold(&desk, &call, "0.1").await;
        calls.push((call, held));
    }
    let killer = {
        let pool = pool.clone();
        tokio::spawn(async move {
            for _ in 0..60 {
                sqlx::query(
                    "select pg_terminate_backend(pid) from pg_stat_activity
                             where application_name = 'victim' and datname = current_database()",
                )
                .execute(&pool)
                .await
                .ok();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    let settled = calls.into_iter().enumerate().map(|(at, (call, held))| {
        let settler = settler.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(u64::try_from(at).unwrap_or(0))).await;
            settler.settle(call, held, answered("0.01")).await
        }
    });
    let receipts = join_all(settled).await;
    killer.await.expect("the killer ended");
    assert!(receipts.iter().all(|receipt| receipt.durable != Durable::Lost));
    assert!(receipts.iter().any(|receipt| receipt.durable == Durable::Spooled), "the test never hit");
    wait_until_replayed(&settler, &spool).await;
    assert_eq!(tenant.posted(&pool).await, usd("96"));
    assert_eq!(rows(&pool, tenant.org).await, 400);
    assert_clean(&pool).await;
}

/// The settler's whole runtime disappears in the middle of its work, as with `kill -9`; a second process takes over.
pub async fn a_process_that_dies_in_the_middle_keeps_what_it_acknowledged(pool: PgPool) {
    let tenant = Tenant::with_credits(&pool, "100").await;
    let desk = desk(&pool, Duration::from_millis(1_500));
    let dir = tempfile::tempdir().expect("a folder");
    let mut calls = Vec::new();
    for _ in 0..300 {
        let call = tenant.call();
        let held = hold(&desk, &call, "0.1").await;
        calls.push((call, held));
    }
    let options = (*pool.connect_options()).clone();
    let (path, acknowledged) = (dir.path().to_owned(), Arc::new(Mutex::new(HashSet::<CallId>::new())));
    let (heard, acknowledged_so_far) = (Arc::clone(&acknowledged), Arc::clone(&acknowledged));
    let doomed = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let spool = Spool::open(&path).expect("a spool");
        let own = {
            let _inside = runtime.enter();
            PgPoolOptions::new().max_connections(2).connect_lazy_with(options)
        };
        // Every other call finds the database away, so that both ways to durability are cut.
        let reachable = Settler::start(runtime.handle(), own, spool.clone());
        let unreachable = {
            let _inside = runtime.enter();
            Settler::start(runtime.handle(), nowhere(), spool)
        };
        for (at, (call, held)) in calls.into_iter().enumerate() {
            let settler = if at % 2 == 0 { reachable.clone() } else { unreachable.clone() };
            let heard = Arc::clone(&heard);
            // The last ten never get to start: however slow the machine is, something is cut off.
            let delay = if at < 290 { u64::try_from(at).unwrap_or(0) } else { 600_000 };
            runtime.spawn(async move {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                let id = call.id;
                settler.settle(call, held, answered("0.01")).await;
                heard.lock().expect("no panic").insert(id);
            });
        }
        // In the middle: some are acknowledged, the others are on their way.
        for _ in 0..10_000 {
            if acknowledged_so_far.lock().expect("no panic").len() >= 100 {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        drop((reachable, unreachable));
        runtime.shutdown_background();
    });
    tokio::task::spawn_blocking(move || doomed.join()).await.expect("joined").expect("no panic");
    // Transactions that were under way end one way or the other.
    tokio::time::sleep(Duration::from_millis(1_500)).await;

    let spool = Spool::open(dir.path()).expect("a spool");
    let second = Settler::start(&Handle::current(), pool.clone(), spool.clone());
    second.recover().await.expect("replayed");
    assert!(spool.is_empty());
    while sweep::sweep_once(&pool).await.expect("swept") > 0 {}
    let charged: Vec<uuid::Uuid> = sqlx::query_scalar("select id from usage where org_id = $1 and cost > 0")
        .bind(tenant.org.0)
        .fetch_all(&pool)
        .await
        .expect("rows");
    let charged: HashSet<CallId> = charged.into_iter().map(CallId).collect();
    let acknowledged = acknowledged.lock().expect("no panic").clone();
    assert!(!acknowledged.is_empty() && acknowledged.len() < 300, "{} were acknowledged", acknowledged.len());
    assert!(acknowledged.is_subset(&charged), "an acknowledged call is missing");
    assert_eq!(rows(&pool, tenant.org).await, 300, "every call has one row");
    assert_eq!(tenant.credit(&pool).await.held, Usd::ZERO);
    let paid = Usd::new(rust_decimal::Decimal::new(i64::try_from(charged.len()).expect("few"), 2));
    assert_eq!(tenant.posted(&pool).await, usd("100") - paid);
    assert_clean(&pool).await;
}

pub async fn the_sweeper_waits_for_the_spool(pool: PgPool) {
    let tenant = Tenant::with_credits(&pool, "10").await;
    let desk = desk(&pool, Duration::from_millis(1));
    let dir = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(dir.path()).expect("a spool");
    let away = Settler::start(&Handle::current(), nowhere(), spool.clone());
    let call = tenant.call();
    let held = hold(&desk, &call, "0.1").await;
    assert_eq!(away.settle(call, held, answered("0.01")).await.durable, Durable::Spooled);
    sweep::start(&Handle::current(), pool.clone(), spool.clone(), Duration::from_millis(20));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(rows(&pool, tenant.org).await, 0, "its end is on disk, so it is not abandoned");
    let back = Settler::start(&Handle::current(), pool.clone(), spool.clone());
    wait_until_replayed(&back, &spool).await;
    assert_eq!(tenant.posted(&pool).await, usd("9.99"));
    let before = now() - chrono::TimeDelta::hours(1);
    assert!(tenant.call().created_at > before);
    assert_clean(&pool).await;
}

/// A settlement that is committed and waits for the disk, on a pool of one connection: the settler has taken one out for
/// itself, the test has the other, and the flusher gets none until the test lets go of it.
struct Unflushed {
    settler: Settler,
    spool: Spool,
    settling: JoinHandle<Receipt>,
    only: PoolConnection<Postgres>,
    _dir: TempDir,
}

impl Unflushed {
    async fn new(pool: &PgPool, patience: Duration, call: Call, held: Usd) -> Unflushed {
        let options = (*pool.connect_options()).clone();
        let tight = PgPoolOptions::new().max_connections(1).acquire_timeout(patience).connect_lazy_with(options);
        let (settler, spool, dir) = settler(&tight);
        // Waiters are served in the order in which they came: the settler, then the test, then the flusher.
        let first = tight.acquire().await.expect("the only one");
        let settling = settle(&settler, call, held);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let next = tokio::spawn(async move { tight.acquire().await });
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(first);
        let only = next.await.expect("no panic").expect("a connection");
        Unflushed { settler, spool, settling, only, _dir: dir }
    }
}

fn settle(settler: &Settler, call: Call, held: Usd) -> JoinHandle<Receipt> {
    let settler = settler.clone();
    tokio::spawn(async move { settler.settle(call, held, answered("0.25")).await })
}

async fn wait_until_posted(pool: &PgPool, tenant: &Tenant, expected: &str) {
    for _ in 0..500 {
        if tenant.posted(pool).await == usd(expected) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the balance is {}", tenant.posted(pool).await);
}

pub async fn nobody_is_told_before_the_disk_has_it_and_the_next_batch_does_not_wait(pool: PgPool) {
    // Enough for a batch of its own beside one that waits for the disk.
    const ENOUGH: usize = 32;
    let tenant = Tenant::with_credits(&pool, "100").await;
    let desk = desk(&pool, LONG);
    let one = tenant.call();
    let held = hold(&desk, &one, "1").await;
    let mut others = Vec::new();
    for _ in 0..ENOUGH {
        let call = tenant.call();
        let held = hold(&desk, &call, "1").await;
        others.push((call, held));
    }
    let first = Unflushed::new(&pool, Duration::from_secs(2), one, held).await;
    wait_until_posted(&pool, &tenant, "99.75").await;
    let second: Vec<_> = others.into_iter().map(|(call, held)| settle(&first.settler, call, held)).collect();
    wait_until_posted(&pool, &tenant, "91.75").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!first.settling.is_finished() && second.iter().all(|one| !one.is_finished()), "none is on the disk");
    drop(first.only);
    for settling in std::iter::once(first.settling).chain(second) {
        assert_eq!(settling.await.expect("no panic").durable, Durable::Committed);
    }
    assert!(first.spool.is_empty());
    assert_clean(&pool).await;
}

pub async fn a_flush_that_fails_leaves_the_settlement_to_the_spool_and_charges_once(pool: PgPool) {
    let tenant = Tenant::with_credits(&pool, "10").await;
    let call = tenant.call();
    let held = hold(&desk(&pool, LONG), &call, "1").await;
    let unflushed = Unflushed::new(&pool, Duration::from_secs(1), call.clone(), held).await;
    wait_until_posted(&pool, &tenant, "9.75").await;
    let receipt = unflushed.settling.await.expect("no panic");
    assert_eq!(
        receipt,
        Receipt { charged: usd("0.25"), overrun: Usd::ZERO, discount: Usd::ZERO, durable: Durable::Spooled }
    );
    assert_eq!(unflushed.spool.depth(), 1);
    drop(unflushed.only);
    wait_until_replayed(&unflushed.settler, &unflushed.spool).await;
    assert_eq!(tenant.posted(&pool).await, usd("9.75"), "it was in the books already");
    assert_eq!(rows(&pool, tenant.org).await, 1);
    assert_clean(&pool).await;
}

/// A server that dies between a commit and its flush, at the hands of `kill`, and comes back. Returns whether the crash
/// took the settlement out of the books.
pub async fn a_commit_that_a_crash_took_back_is_settled_again(pool: &PgPool, kill: impl FnOnce()) -> bool {
    let tenant = Tenant::with_credits(pool, "10").await;
    let call = tenant.call();
    let held = hold(&desk(pool, LONG), &call, "1").await;
    // The hold is on the disk. What follows is not, as long as nobody waits for it.
    sqlx::query("checkpoint").execute(pool).await.expect("on the disk");
    let unflushed = Unflushed::new(pool, Duration::from_secs(2), call.clone(), held).await;
    wait_until_posted(pool, &tenant, "9.75").await;
    kill();
    drop(unflushed.only);
    let receipt = unflushed.settling.await.expect("no panic");
    assert_eq!(
        receipt,
        Receipt { charged: usd("0.25"), overrun: Usd::ZERO, discount: Usd::ZERO, durable: Durable::Spooled }
    );
    let lost = loop {
        let found = sqlx::query_scalar::<_, i64>("select count(*) from usage where id = $1").bind(call.id.0);
        match found.fetch_one(pool).await {
            Ok(found) => break found == 0,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    wait_until_replayed(&unflushed.settler, &unflushed.spool).await;
    assert_eq!(tenant.posted(pool).await, usd("9.75"));
    assert_eq!(tenant.credit(pool).await.held, Usd::ZERO);
    assert_eq!(rows(pool, tenant.org).await, 1);
    assert_clean(pool).await;
    lost
}
