//! A Postgres server for all tests of this process, and a migrated database for each.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use farebox::db::embedded::{Embedded, Options};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;

const TEMPLATE: &str = "farebox_template";

/// The server of this test process. It ends with the process.
pub fn server() -> &'static Embedded {
    static SERVER: OnceLock<Embedded> = OnceLock::new();
    SERVER.get_or_init(|| Embedded::start(Options::temporary()).unwrap_or_else(|error| panic!("{error}")))
}

/// The URL of a fresh database with the whole schema and the shipped catalog.
pub async fn database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let embedded = tokio::task::spawn_blocking(server).await.expect("a server");
    template(embedded).await;
    let name = format!("farebox_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    clone(embedded, TEMPLATE, &name).await;
    embedded.url(&name)
}

/// As [`database`], with an empty catalog.
pub async fn without_catalog() -> PgPool {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let embedded = tokio::task::spawn_blocking(server).await.expect("a server");
    let name = format!("farebox_bare_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    run(embedded, &format!("create database {name}")).await;
    let pool = PgPool::connect(&embedded.url(&name)).await.expect("the new database");
    farebox::db::migrate(&pool).await.expect("the schema");
    pool
}

async fn template(embedded: &Embedded) {
    static MADE: OnceCell<()> = OnceCell::const_new();
    MADE.get_or_init(|| async {
        run(embedded, &format!("create database {TEMPLATE}")).await;
        let url = embedded.url(TEMPLATE);
        let made = tokio::task::spawn_blocking(move || {
            Command::new(env!("CARGO_BIN_EXE_farebox"))
                .args(["catalog", "apply", concat!(env!("CARGO_MANIFEST_DIR"), "/catalog.toml")])
                .env("DATABASE_URL", url)
                .env("FAREBOX_SECRET_KEY", super::farebox::SECRET_KEY)
                .output()
        });
        let output = made.await.expect("the command").expect("the command runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    })
    .await;
}

async fn clone(embedded: &Embedded, template: &str, name: &str) {
    run(embedded, &format!("create database {name} template {template} strategy file_copy")).await;
}

async fn run(embedded: &Embedded, statement: &str) {
    // Names come from this file only.
    let mut conn = PgConnection::connect(&embedded.url("postgres")).await.expect("the server");
    // Two clones of one template at once are refused, so they wait here.
    sqlx::query("select pg_advisory_lock(1)").execute(&mut conn).await.expect("the lock");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut conn).await.expect("the statement");
    conn.close().await.expect("a clean end");
}
