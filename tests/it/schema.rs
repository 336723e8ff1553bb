//! Rules that the schema itself keeps, whoever writes to it.

use sqlx::{AssertSqlSafe, PgPool};

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
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let answer = farebox.chat(&key, "sandbox/penny", "hi", serde_json::json!({})).await;
    assert_eq!(answer.status(), 200);
    farebox.holds_are_closed().await;
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
        "update meter set held_byok = -1",
        "update meter set kind = 'other'",
        "update meter set limit_total = -1",
        "update meter set limit_day = -0.01",
        "update meter set limit_week = -1",
        "update meter set limit_month = -1, limit_day = 1",
        "insert into meter (org_id, id, kind) select org_id, gen_random_uuid(), 'other' from credit",
        "insert into meter (org_id, id, kind, limit_day) select org_id, gen_random_uuid(), 'key', -1 from credit",
        "insert into hold select org_id, gen_random_uuid(), -1, '{}', '{}', now(), now() from credit",
        "insert into hold select org_id, gen_random_uuid(), 1, '{}', '{}', now(), now(), -1 from credit",
        "insert into transfer (id, code, reference, debit_account, credit_account, amount)
         select gen_random_uuid(), 'other', 'd', debit_account, credit_account, 1 from transfer limit 1",
        "update usage set cost = -1",
        "update usage set cost = 0",
        "update usage set transfer_id = null",
        "update usage set overrun = -1",
        "update usage set discount = -1",
        "update usage set upstream_cost = -1",
        "update usage set byok_free = -1",
        "update usage set byok_free = upstream_cost + 1",
        "update usage set byok_rate = -0.1",
        "update usage set byok_rate = 1.1",
        "update usage set byok_rate = 'NaN'",
        "update usage set byok_free = 'NaN'",
        "update usage set status = 'other'",
        "update usage set counted_by = 'other'",
        "update usage_hour set hour = hour + interval '1 minute'",
    ] {
        let refused = sqlx::query(statement).execute(&farebox.pool).await.expect_err(statement);
        let broken = refused.as_database_error().and_then(|error| error.constraint().map(str::to_owned));
        assert!(broken.is_some(), "{statement}: {refused}");
    }
    farebox.books_are_clean().await;
}

/// Postgres reads the checks of a table, and the conditions of its triggers, anew in each statement that writes there, and works
/// out what is constant in them (docs/performance.md): `0` beside a sum of money is the call of a function, each time.
#[tokio::test]
async fn what_is_checked_on_the_way_of_a_call_is_not_worked_out_anew() {
    let rules: Vec<(String, String)> = sqlx::query_as(
        "with written as (
            select unnest($1::regclass[]) as id
            union all select inhrelid from pg_inherits where inhparent = 'usage'::regclass)
         select conrelid::regclass || ' ' || conname, pg_get_constraintdef(oid) from pg_constraint
         where contype = 'c' and conrelid in (select id from written)
         union all
         select tgrelid::regclass || ' ' || tgname, pg_get_triggerdef(oid) from pg_trigger
         where tgqual is not null and tgrelid in (select id from written)",
    )
    .bind(["credit", "meter", "hold", "transfer", "usage", "usage_hour"].map(str::to_owned))
    .fetch_all(&pool().await)
    .await
    .expect("rules");
    let names: Vec<&str> = rules.iter().map(|(name, _)| name.as_str()).collect();
    for (table, rule) in [("usage", "amounts"), ("usage_default", "amounts"), ("meter", "kind_and_limits")] {
        let name = format!("{table} {}_{rule}", table.trim_end_matches("_default"));
        assert!(names.contains(&name.as_str()), "{name} is not among {names:?}");
    }
    for (name, rule) in &rules {
        let is_call =
            rule.match_indices(")::numeric").any(|(at, _)| rule[..at].ends_with(|c: char| c.is_ascii_digit()));
        assert!(!is_call && !rule.contains("ARRAY["), "{name}: {rule}");
        assert!(!rule.contains("NOT VALID"), "{name} was not proven: {rule}");
    }
}

/// Nodes of an update are replaced one after the other: what one of before calls tells it that a batch is not as it was
/// admitted, where an error would be a database that is away.
#[tokio::test]
async fn a_refused_batch_is_told_as_each_version_hears_it_and_leaves_nothing() {
    const FIELDS: &str = "org_id, id, created_at, key_id, member_id, app, referer, user_agent, request_id, model_asked, model, \
        provider, upstream_model, upstream_id, streamed, status, cancelled, http_status, error, finish_reason, native_finish, \
        prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, counted_by, price_version, cost, \
        overrun, hold, transfer_id, meters, first_token_ms, duration_ms, attempts";
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    assert_eq!(farebox.chat(&key, "sandbox/penny", "hi", serde_json::json!({})).await.status(), 200);
    farebox.holds_are_closed().await;
    let changes = "array(select (org_id, 1, 0)::credit_change from credit)";
    let twice = format!("array(select row({FIELDS})::usage_line from usage)");
    // A hold that is not there, and a call that has its row.
    for (lines, ended, code) in [("'{}'".to_owned(), 1, "FB001"), (twice, 0, "23505")] {
        let batch = format!("({lines}, {ended}, {changes}, '{{}}', '{{}}', '{{}}')");
        let before = AssertSqlSafe(format!("select settle_calls{batch}"));
        let settled: bool = sqlx::query_scalar(before).fetch_one(&farebox.pool).await.expect("an answer");
        assert!(!settled, "{code}");
        let now = AssertSqlSafe(format!("select settle_at_once{batch}"));
        let refused = sqlx::query(now).execute(&farebox.pool).await.expect_err(code);
        let told = refused.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned());
        assert_eq!(told.as_deref(), Some(code), "{refused}");
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
