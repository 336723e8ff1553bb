//! The auditor finds whatever is off between the books and the log.

use farebox::gateway::spool::Spool;
use farebox::gateway::{Settler, reconcile};
use sqlx::PgPool;
use tokio::runtime::Handle;

use super::calls::{Tenant, answered, assert_clean, desk, hold, usd};

pub async fn each_kind_of_drift_is_found(pool: PgPool) {
    let tenant = Tenant::with_credits(&pool, "10").await;
    let dir = tempfile::tempdir().expect("a folder");
    let settler = Settler::start(&Handle::current(), pool.clone(), Spool::open(dir.path()).expect("a spool"));
    let desk = desk(&pool, std::time::Duration::from_secs(900));
    for _ in 0..3 {
        let call = tenant.call();
        let held = hold(&desk, &call, "0.2").await;
        settler.settle(call, held, answered("0.3")).await;
    }
    assert_eq!(tenant.posted(&pool).await, usd("9.4"));
    assert_clean(&pool).await;

    for (tamper, mend, rule) in [
        (
            "update usage set cost = cost + 0.000000000001",
            "update usage set cost = cost - 0.000000000001",
            "usage transfer = sum of its calls",
        ),
        (
            "update meter set spent_total = spent_total + 1 where kind = 'member'",
            "update meter set spent_total = spent_total - 1 where kind = 'member'",
            "spent of a meter = sum of the calls charged to it",
        ),
        (
            "update usage_hour set completion_tokens = completion_tokens + 1",
            "update usage_hour set completion_tokens = completion_tokens - 1",
            "sums per hour = sums of the calls",
        ),
        (
            "update usage set overrun = overrun + 0.1",
            "update usage set overrun = overrun - 0.1",
            "operator loss = overrun of the call",
        ),
        (
            "update credit set posted = posted + 0.000000000001",
            "update credit set posted = posted - 0.000000000001",
            "posted = sum of transfers",
        ),
    ] {
        sqlx::raw_sql(tamper).execute(&pool).await.expect("tampered");
        let report = reconcile::verify_now(&pool).await.expect("an audit");
        let rules: Vec<&str> = report.drifts.iter().map(|drift| drift.rule).collect();
        assert!(rules.contains(&rule), "{tamper} was not found as {rule:?}: {rules:?}");
        sqlx::raw_sql(mend).execute(&pool).await.expect("mended");
        assert_clean(&pool).await;
    }
    sqlx::raw_sql("delete from usage_hour").execute(&pool).await.expect("tampered");
    assert!(!reconcile::verify_now(&pool).await.expect("an audit").is_clean());
}
