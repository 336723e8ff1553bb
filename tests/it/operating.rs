//! What docs/operations.md asks of whoever runs an instance, with the words that stand there, and what commands do when they are
//! started beside the point.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};

use crate::isolation::of_an_ordinary_user;
use crate::support::farebox::SECRET_KEY;
use crate::support::{Farebox, Options, cluster};

const DOCUMENT: &str = include_str!("../../docs/operations.md");

/// The command of the document that begins with these words.
fn documented(begins: &str) -> &'static str {
    DOCUMENT.lines().find(|line| line.starts_with(begins)).unwrap_or_else(|| panic!("no line begins with {begins}"))
}

/// Where the newest tools of Postgres are; some servers come without them.
fn tools() -> Option<PathBuf> {
    let versions = Path::new("/usr/lib/postgresql").read_dir().into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("pg_dump").is_file() && bin.join("pg_restore").is_file())
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

/// Runs a line in a shell.
async fn shell(line: String, bin: &Path, dir: &Path, env: &[(&str, &str)]) -> Output {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &line]).env_clear().env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    command.envs(env.iter().copied()).current_dir(dir);
    tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("a shell")
}

fn words(output: &Output) -> String {
    format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))
}

/// Every table with how many rows it has.
async fn rows(pool: &PgPool) -> Vec<(String, i64)> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1",
    )
    .fetch_all(pool)
    .await
    .expect("tables");
    let mut rows = Vec::new();
    for table in tables {
        let count = format!("select count(*) from public.{table}");
        let found = sqlx::query_scalar::<_, i64>(AssertSqlSafe(count)).fetch_one(pool).await.expect("a count");
        rows.push((table, found));
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_backup_of_the_documented_database_is_whole() {
    let Some(bin) = tools() else { return };
    let name = format!("saved_{}", std::process::id());
    let Some(url) = of_an_ordinary_user(&name, true).await else { return };
    let mut farebox = Farebox::with(Options { database_url: Some(url.clone()), ..Options::default() }).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    assert_eq!(farebox.chat(&key, "sandbox/echo", "Hello", json!({})).await.status(), 200);
    farebox.holds_are_closed().await;
    farebox.stop().await;
    let before = rows(&farebox.pool).await;
    assert!(before.iter().filter(|(_, count)| *count > 0).count() > 10, "{before:?}");

    let dir = tempfile::tempdir().expect("a directory");
    let save = documented("pg_dump ").replace("farebox-$(date +%F).dump", "saved.dump");
    let saved = shell(save.clone(), &bin, dir.path(), &[("FAREBOX_DATABASE_URL", &url)]).await;
    assert!(saved.status.success(), "{save}: {}", words(&saved));

    let cluster::Server::Own(server) = cluster::server() else { return };
    let admin = url::Url::parse(&server.url("postgres")).expect("a URL");
    let socket = admin.query_pairs().find(|(name, _)| name == "host").map(|(_, value)| value.into_owned());
    let socket = socket.expect("a socket");
    let restored = format!("{name}_again");
    for begins in ["createdb ", "pg_restore "] {
        let line = documented(begins)
            .replace("farebox-2030-01-31.dump", "saved.dump")
            .replace("farebox_restored", &restored)
            .replace("--owner=farebox", &format!("--owner={name}"))
            .replace("--role=farebox", &format!("--role={name}"));
        let done = shell(line.clone(), &bin, dir.path(), &[("PGHOST", &socket), ("PGUSER", "farebox")]).await;
        assert!(done.status.success(), "{line}: {}", words(&done));
    }
    let again = url.replacen(&format!("/{name}?"), &format!("/{restored}?"), 1);
    assert_ne!(again, url);
    assert_eq!(rows(&PgPool::connect(&again).await.expect("the restored database")).await, before);
    for check in [["ledger", "verify"], ["audit", "verify"]] {
        let verified = farebox.cli_env(&check, &[("DATABASE_URL", &again)]).await;
        assert!(verified.status.success(), "{check:?} {}", words(&verified));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn books_that_are_not_there_are_not_clean() {
    let farebox = Farebox::start().await;
    farebox.books_are_clean().await;
    for lost in
        ["delete from ledger_account where kind = 'promotions'", "drop trigger transfer_append_only on transfer"]
    {
        let mut tx = farebox.pool.begin().await.expect("a transaction");
        sqlx::query(lost).execute(&mut *tx).await.expect("lost");
        tx.commit().await.expect("committed");
        let verified = farebox.cli(&["ledger", "verify"]).await;
        assert!(!verified.status.success() && words(&verified).contains("no whole database"), "{}", words(&verified));
        let back = "insert into ledger_account (id, kind, name) values
            ('00000000-0000-7000-8000-000000000001', 'promotions', 'promotions') on conflict do nothing";
        sqlx::query(back).execute(&farebox.pool).await.expect("back");
    }
}

/// The URL of a database of the tests' server.
async fn server_url(name: &str) -> String {
    tokio::task::spawn_blocking(cluster::server).await.expect("a server").url(name)
}

/// A command with nothing but these settings.
async fn alone(arguments: &[&str], dir: &Path, env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farebox"));
    command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("FAREBOX_SECRET_KEY", SECRET_KEY);
    command.envs(env.iter().copied()).current_dir(dir);
    tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("the command runs")
}

#[tokio::test]
async fn a_command_without_the_settings_of_the_server_makes_no_database_of_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    for arguments in [
        ["ledger", "verify"].as_slice(),
        &["audit", "verify"],
        &["topups", "reconcile"],
        &["credits", "grant", "--email", "ada@example.com", "--amount", "10"],
        &["user", "operator", "--email", "ada@example.com"],
    ] {
        let refused = alone(arguments, dir.path(), &[]).await;
        let said = words(&refused);
        assert!(!refused.status.success() && said.contains("FAREBOX_DATABASE_URL"), "{arguments:?} {said}");
        assert!(!dir.path().join("data/postgres").exists(), "{arguments:?} made one");
    }
}

#[tokio::test]
async fn only_what_fills_a_new_instance_makes_its_schema() {
    let filled = cluster::empty().await;
    let url = cluster::empty().await;
    let dir = tempfile::tempdir().expect("a directory");
    let here = [("DATABASE_URL", url.as_str())];
    let refused = alone(&["ledger", "verify"], dir.path(), &here).await;
    assert!(!refused.status.success() && words(&refused).contains("no tables of Farebox"), "{}", words(&refused));
    let made = alone(&["migrate"], dir.path(), &here).await;
    assert!(made.status.success(), "{}", words(&made));
    // What the first start would put there: the keys of providers can be stored before it.
    assert!(String::from_utf8_lossy(&made.stdout).contains("catalog"), "it does not say what it did");
    let exported = alone(&["catalog", "export"], dir.path(), &here).await;
    assert!(String::from_utf8_lossy(&exported.stdout).contains("openai"), "{}", words(&exported));
    let verified = alone(&["ledger", "verify"], dir.path(), &here).await;
    assert!(verified.status.success(), "{}", words(&verified));
    let made = alone(&["user", "create", "--email", "ada@example.com"], dir.path(), &[("DATABASE_URL", &filled)]).await;
    assert!(made.status.success(), "{}", words(&made));
}

#[tokio::test]
async fn a_database_that_knows_few_letters_gets_no_schema() {
    let dir = tempfile::tempdir().expect("a directory");
    let admin = PgPool::connect(&server_url("postgres").await).await.expect("the server");
    let name = format!("farebox_latin_{}", std::process::id());
    let create = format!("create database {name} encoding 'LATIN1' locale 'C' template template0");
    sqlx::query(AssertSqlSafe(create)).execute(&admin).await.expect("a database");
    let url = server_url(&name).await;
    let refused = alone(&["migrate"], dir.path(), &[("DATABASE_URL", &url)]).await;
    let said = words(&refused);
    assert!(!refused.status.success() && said.contains("LATIN1") && said.contains("UTF8"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credits_are_granted_to_whoever_has_an_account() {
    let farebox = Farebox::start().await;
    farebox.key("ada@example.com", "", &[]).await;
    let grant = async |email: &str| farebox.cli(&["credits", "grant", "--email", email, "--amount", "10"]).await;
    let granted = grant("ada@example.com").await;
    assert!(granted.status.success(), "{}", words(&granted));
    let refused = grant("adda@example.com").await;
    assert!(!refused.status.success() && words(&refused).contains("farebox user create"), "{}", words(&refused));
    assert_eq!(farebox.text("select count(*)::text from person").await, "1");
    farebox.books_are_clean().await;
}

#[tokio::test]
async fn a_command_of_a_newer_program_leaves_the_schema_as_it_is() {
    let url = cluster::database().await;
    let dir = tempfile::tempdir().expect("a directory");
    let here = [("DATABASE_URL", url.as_str())];
    let pool = PgPool::connect(&url).await.expect("the database");
    let last = "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)";
    sqlx::query(last).execute(&pool).await.expect("behind");
    let count = async || {
        let count = sqlx::query_scalar::<_, i64>("select count(*) from _sqlx_migrations");
        count.fetch_one(&pool).await.expect("a count")
    };
    let before = count().await;
    for arguments in
        [["ledger", "verify"].as_slice(), &["codes", "list"], &["keys", "issue", "--email", "ada@example.com"]]
    {
        let refused = alone(arguments, dir.path(), &here).await;
        assert!(!refused.status.success() && words(&refused).contains("farebox migrate"), "{}", words(&refused));
    }
    assert_eq!(count().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_of_the_version_before_starts_on_the_schema_after() {
    let first = Farebox::start().await;
    let key = first.key("ada@example.com", "10", &[]).await;
    let later = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values ";
    let later = async |row: &str| {
        sqlx::query(AssertSqlSafe(format!("{later}{row}"))).execute(&first.pool).await.expect("a later migration");
    };
    later("(9998, 'another table', true, '', 0)").await;
    let options = Options { database_url: Some(first.database_url.clone()), ..Options::default() };
    let second = Farebox::with(options.clone()).await;
    assert_eq!(second.chat(&key, "sandbox/echo", "Hello", json!({})).await.status(), 200);
    second.holds_are_closed().await;
    second.books_are_clean().await;
    later("(9999, 'needs 9998 without the old table', true, '', 0)").await;
    let refused = Farebox::refusal(options).await;
    let said = words(&refused);
    assert!(!refused.status.success() && said.contains("9998") && said.contains("restore the backup"), "{said}");
    let verified = first.cli(&["ledger", "verify"]).await;
    assert!(!verified.status.success() && words(&verified).contains("9998"), "{}", words(&verified));
}

#[tokio::test]
async fn a_database_that_lets_nobody_in_is_told_with_its_place_and_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let port = crate::support::farebox::free_port();
    let url = format!("postgres://farebox:db-secret-99@127.0.0.1:{port}/farebox");
    let refused = alone(&["ledger", "verify"], dir.path(), &[("DATABASE_URL", &url)]).await;
    let said = words(&refused);
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("refused"), "{said}");
    assert!(!said.contains("db-secret-99"), "{said}");
    let gone = cluster::empty().await.replace("farebox_bare", "farebox_gone");
    let began = std::time::Instant::now();
    let refused = Farebox::refusal(Options { database_url: Some(gone), ..Options::default() }).await;
    let said = words(&refused);
    assert!(said.contains("does not exist") && said.contains("FAREBOX_DATABASE_URL"), "{said}");
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "it was tried for {:?}", began.elapsed());
    // Each cause once.
    assert_eq!(said.matches("does not exist").count(), 1, "{said}");
}
