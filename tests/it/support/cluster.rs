//! A Postgres server for all tests of this process, and a migrated database for each.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use farebox::db::embedded::{Embedded, Options};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;

/// Where the tests' databases are made.
pub enum Server {
    /// This process's own. It ends with the process.
    Own(Box<Embedded>),
    /// The one that `TEST_DATABASE_URL` names; its user may create databases.
    Given(url::Url),
}

impl Server {
    pub fn url(&self, database: &str) -> String {
        match self {
            Server::Own(embedded) => embedded.url(database),
            Server::Given(url) => {
                let mut url = url.clone();
                url.set_path(database);
                url.to_string()
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment which server to use")]
fn given() -> Option<url::Url> {
    std::env::var("TEST_DATABASE_URL").ok()?.parse().ok()
}

pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match given() {
        Some(url) => Server::Given(url),
        None => {
            let started = Embedded::start(Options::temporary());
            Server::Own(Box::new(started.unwrap_or_else(|error| panic!("{error}"))))
        }
    })
}

/// Names that no other test process on the same server uses.
fn fresh_name(kind: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("farebox_{kind}_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// The URL of a fresh database with the whole schema and the shipped catalog.
pub async fn database() -> String {
    let embedded = tokio::task::spawn_blocking(server).await.expect("a server");
    let template = template(embedded).await;
    let name = fresh_name("test");
    clone(embedded, template, &name).await;
    embedded.url(&name)
}

/// The URL of a database with nothing in it.
pub async fn empty() -> String {
    let embedded = tokio::task::spawn_blocking(server).await.expect("a server");
    let name = fresh_name("bare");
    run(embedded, &format!("create database {name}")).await;
    embedded.url(&name)
}

/// As [`database`], with an empty catalog.
pub async fn without_catalog() -> PgPool {
    let pool = PgPool::connect(&empty().await).await.expect("the new database");
    farebox::db::migrate(&pool).await.expect("the schema");
    pool
}

async fn template(embedded: &Server) -> &'static str {
    static MADE: OnceCell<String> = OnceCell::const_new();
    MADE.get_or_init(|| async {
        let name = fresh_name("template");
        run(embedded, &format!("create database {name}")).await;
        let url = embedded.url(&name);
        let made = tokio::task::spawn_blocking(move || {
            Command::new(env!("CARGO_BIN_EXE_farebox"))
                .args(["catalog", "apply", concat!(env!("CARGO_MANIFEST_DIR"), "/catalog.toml")])
                .env("DATABASE_URL", url)
                .env("FAREBOX_SECRET_KEY", super::farebox::SECRET_KEY)
                .output()
        });
        let output = made.await.expect("the command").expect("the command runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        name
    })
    .await
}

async fn clone(embedded: &Server, template: &str, name: &str) {
    run(embedded, &format!("create database {name} template {template} strategy file_copy")).await;
}

async fn run(embedded: &Server, statement: &str) {
    // Names come from this file only.
    let mut conn = PgConnection::connect(&embedded.url("postgres")).await.expect("the server");
    // Two clones of one template at once are refused, so they wait here.
    sqlx::query("select pg_advisory_lock(1)").execute(&mut conn).await.expect("the lock");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut conn).await.expect("the statement");
    conn.close().await.expect("a clean end");
}
