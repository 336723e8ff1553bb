//! Bringing the schema up to date.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::{Connection, PgConnection, PgPool};

/// Every file of `migrations/`, inside the binary.
pub static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Held by the process that migrates, for as long as its connection lasts.
const LOCK: i64 = 0x6661_7265_0001;
/// How often, and for how long, a process waits for another one that migrates: an index of a large table takes minutes.
const EVERY: Duration = Duration::from_millis(250);
const TRIES: u32 = 14_400;

/// Applies what is missing; safe to run from several processes at once (a lock orders them).
///
/// # Errors
/// When a migration fails, or one that was applied has been changed since.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut conn = pool.acquire().await?.detach();
    // What a page may take is no measure for an index.
    sqlx::query("set statement_timeout = 0").execute(&mut conn).await?;
    let done = migrate_with(&mut conn).await;
    // The lock goes with the connection.
    conn.close().await.ok();
    done
}

async fn migrate_with(conn: &mut PgConnection) -> Result<(), MigrateError> {
    // Asked for again and again. Whoever waits within a statement is waited for by an index that is made concurrently, for ever.
    for tried in 1.. {
        let query = sqlx::query_scalar::<_, bool>("select pg_try_advisory_lock($1)").bind(LOCK);
        if query.fetch_one(&mut *conn).await? {
            break;
        }
        if tried >= TRIES {
            return Err(MigrateError::Source("another process has been migrating for an hour".into()));
        }
        tokio::time::sleep(EVERY).await;
    }
    let mut migrator = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
    migrator.set_locking(false);
    for step in MIGRATOR.iter().filter(|one| one.no_tx) {
        migrator.run_direct(Some(step.version - 1), conn, false).await?;
        let query = sqlx::query_scalar::<_, bool>("select exists (select from _sqlx_migrations where version = $1)");
        if query.bind(step.version).fetch_one(&mut *conn).await? {
            continue;
        }
        drop_unfinished(conn, step).await?;
        // What is made concurrently keeps nobody waiting, so it may wait for every transaction that runs.
        sqlx::query("set lock_timeout = 0").execute(&mut *conn).await?;
        migrator.run_direct(Some(step.version), conn, false).await?;
        sqlx::query("reset lock_timeout").execute(&mut *conn).await?;
    }
    migrator.run_direct(None, conn, false).await
}

/// The indexes of our tables that nobody finished.
const UNFINISHED: &str = "select c.relname::text from pg_index i join pg_class c on c.oid = i.indexrelid
    where not i.indisvalid and c.relnamespace = 'public'::regnamespace";
/// Drops the one that a setting of this connection names.
const DROP: &str = "do $$ begin
    execute format('drop index if exists public.%I', current_setting('farebox.unfinished'));
end $$";

/// An index that was being made when somebody pulled the plug is of no use to anybody and costs every write. Only that of a file
/// which was not applied: nobody else makes it now, for whoever does holds the lock.
async fn drop_unfinished(conn: &mut PgConnection, step: &Migration) -> Result<(), sqlx::Error> {
    let unfinished: Vec<String> = sqlx::query_scalar(UNFINISHED).fetch_all(&mut *conn).await?;
    for name in unfinished {
        if step.sql.as_str().contains(&format!("if not exists {name} on")) {
            tracing::warn!(index = name, "an index that was not finished is made again");
            sqlx::query("select set_config('farebox.unfinished', $1, false)").bind(name).execute(&mut *conn).await?;
            sqlx::raw_sql(DROP).execute(&mut *conn).await?;
        }
    }
    Ok(())
}
