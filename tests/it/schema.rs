//! Rules that the schema itself keeps, whoever writes to it.

use sqlx::PgPool;

use crate::support::{Farebox, cluster};

/// Money is stored under these names.
const MONEY: &[&str] = &[
    "amount",
    "below",
    "rearm_at",
    "cap_day",
    "cap_month",
    "posted",
    "came_in",
    "went_out",
    "debits",
    "held",
    "cost",
    "overrun",
    "hold",
    "credits",
    "fee",
    "total",
    "refunded",
    "disputed",
    "prompt",
    "completion",
    "cache_read",
    "cache_write",
    "request",
    "image",
    "limit_total",
    "limit_day",
    "limit_week",
    "limit_month",
    "spent_total",
    "spent_day",
    "spent_week",
    "spent_month",
    "byok_total",
    "byok_day",
    "byok_week",
    "byok_month",
];

/// Belong to the house, although they name organizations: the journal, whose rows may stand between two
/// organizations, and the register of who owns which personal one. A cluster keeps them whole on every node.
const HOUSE: &[&str] = &["transfer", "personal_org"];

async fn pool() -> PgPool {
    PgPool::connect(&cluster::database().await).await.expect("the database")
}

/// `table.column type` of the columns of our own tables.
async fn columns(pool: &PgPool) -> Vec<(String, String, String)> {
    sqlx::query_as(
        "select c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod)
         from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'public' and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped",
    )
    .fetch_all(pool)
    .await
    .expect("columns")
}

#[tokio::test]
async fn no_column_is_a_float_and_money_has_twelve_digits() {
    let columns = columns(&pool().await).await;
    assert!(columns.len() > 100, "the schema is there");
    let mut money = 0;
    for (table, column, kind) in columns {
        assert!(!matches!(kind.as_str(), "real" | "double precision" | "money"), "{table}.{column} is {kind}");
        if kind.starts_with("numeric") || MONEY.contains(&column.as_str()) {
            assert_eq!(kind, "numeric(24,12)", "{table}.{column}");
            money += 1;
        }
    }
    assert!(money >= MONEY.len(), "only {money} columns hold money");
}

#[tokio::test]
async fn what_belongs_to_an_organization_is_found_by_it_first() {
    let pool = pool().await;
    let tables: Vec<String> = columns(&pool)
        .await
        .into_iter()
        .filter(|(table, column, _)| column == "org_id" && !HOUSE.contains(&table.as_str()))
        .map(|(table, ..)| table)
        .collect();
    assert!(tables.len() >= 8, "{tables:?}");
    for table in tables {
        let first: bool = sqlx::query_scalar(
            "select exists (select from pg_index i
                join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                where i.indrelid = $1::regclass and i.indisunique and i.indpred is null and a.attname = 'org_id')",
        )
        .bind(&table)
        .fetch_one(&pool)
        .await
        .expect("an answer");
        assert!(first, "{table} has no unique index that begins with org_id");
    }
}

#[tokio::test]
async fn what_was_written_into_the_books_stays() {
    let farebox = Farebox::start().await;
    farebox.key("ada@example.com", "10", &[]).await;
    for statement in [
        "update transfer set amount = amount + 1",
        "update transfer set memo = 'other'",
        "delete from transfer",
        "truncate transfer",
        "truncate transfer cascade",
        "update price_version set prompt = 0",
        "update price_version set created_at = now()",
        "delete from price_version",
        "truncate price_version cascade",
    ] {
        let refused = sqlx::query(statement).execute(&farebox.pool).await;
        assert!(refused.is_err(), "{statement} was done");
    }
    for statement in [
        "insert into transfer (id, code, reference, debit_account, credit_account, amount)
         select gen_random_uuid(), 'grant', 'a', debit_account, credit_account, 0 from transfer limit 1",
        "insert into transfer (id, code, reference, debit_account, credit_account, amount)
         select gen_random_uuid(), 'grant', 'b', debit_account, credit_account, -1 from transfer limit 1",
        "insert into transfer (id, code, reference, debit_account, credit_account, amount)
         select gen_random_uuid(), 'grant', 'c', debit_account, debit_account, 1 from transfer limit 1",
        "insert into transfer (id, code, reference, debit_account, credit_account, amount)
         select gen_random_uuid(), code, reference, debit_account, credit_account, 1 from transfer limit 1",
        "update credit set held = -1",
        "update meter set held = -1",
        "insert into hold select org_id, gen_random_uuid(), -1, '{}', '{}', now(), now() from credit",
    ] {
        let refused = sqlx::query(statement).execute(&farebox.pool).await.expect_err(statement);
        let broken = refused.as_database_error().and_then(|error| error.constraint().map(str::to_owned));
        assert!(broken.is_some(), "{statement}: {refused}");
    }
    farebox.books_are_clean().await;
}

#[tokio::test]
async fn a_balance_that_was_tampered_with_is_found_and_named() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let answer = farebox.chat(&key, "sandbox/penny", "hi", serde_json::json!({})).await;
    assert_eq!(answer.status(), 200);
    farebox.books_are_clean().await;
    for (tamper, mend, drift) in [
        (
            "update credit set posted = posted + 0.000000000001",
            "update credit set posted = posted - 0.000000000001",
            ["posted = sum of transfers", "should be 9.99 and is 9.990000000001"],
        ),
        (
            "update credit set held = held + 0.5",
            "update credit set held = held - 0.5",
            ["held = sum of open holds", "should be 0 and is 0.5"],
        ),
        (
            "update meter set spent_total = spent_total - 0.01 where kind = 'key'",
            "update meter set spent_total = spent_total + 0.01 where kind = 'key'",
            ["spent of a meter", "should be 0.01 and is 0"],
        ),
        (
            "update usage set cost = cost + 1",
            "update usage set cost = cost - 1",
            ["usage transfer", "should be 1.01 and is 0.01"],
        ),
    ] {
        sqlx::query(tamper).execute(&farebox.pool).await.expect("tampered");
        let output = farebox.cli(&["ledger", "verify"]).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{tamper}: {said}");
        let line = said.lines().find(|line| drift.iter().all(|part| line.contains(part)));
        assert!(line.is_some(), "{tamper}: {drift:?} is not in\n{said}");
        sqlx::query(mend).execute(&farebox.pool).await.expect("mended");
        farebox.books_are_clean().await;
    }
}

/// Several nodes of an update start at once, and one of them was stopped before in the middle of an index.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_at_once_bring_the_schema_up_to_date_and_finish_what_was_not() {
    let url = cluster::empty().await;
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(PgPool::connect(&url).await.expect("the database"));
    }
    let migrated = futures_util::future::join_all(nodes.iter().map(farebox::db::migrate)).await;
    assert!(migrated.iter().all(Result::is_ok), "{migrated:?}");
    let pool = &nodes[0];
    let run = async |statement: &'static str| {
        let done = sqlx::query(statement).execute(pool).await.expect("done");
        assert_eq!(done.rows_affected(), 1, "{statement}");
    };
    let valid = "select indisvalid from pg_index where indexrelid = 'usage_hour_by_hour'::regclass";
    let is_valid = async || sqlx::query_scalar::<_, bool>(valid).fetch_one(pool).await.expect("an index");
    assert!(is_valid().await);
    run("update pg_index set indisvalid = false where indexrelid = 'usage_hour_by_hour'::regclass").await;
    run("delete from _sqlx_migrations where version = 98").await;
    let migrated = futures_util::future::join_all(nodes.iter().map(farebox::db::migrate)).await;
    assert!(migrated.iter().all(Result::is_ok), "{migrated:?}");
    assert!(is_valid().await, "made again");
}
