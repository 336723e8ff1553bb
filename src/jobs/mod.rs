//! Jobs: work that a transaction leaves behind, done after it committed, retried until it is done.
//!
//! The queue is Graphile Worker (crate `graphile_worker`), in this database. A job is added in the
//! caller's transaction, so it exists exactly if its cause does. This module knows no kinds of jobs.

mod runner;

pub use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext, WorkerOptions};
pub use runner::{SCHEMA, migrate, run};

use sqlx::PgConnection;

/// A failing job is tried this often, ever more slowly (from seconds to days), and then kept as dead.
pub const MAX_ATTEMPTS: i32 = 12;

/// A job that should have run so many seconds ago is too late; the alert in docs/grafana says the same.
pub const LATE: i64 = 15 * 60;

/// The queue as monitoring sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, sqlx::FromRow)]
pub struct Waiting {
    /// Jobs that wait or run.
    pub jobs: i64,
    /// Of those, mails.
    pub mails: i64,
    /// Jobs that used up their tries.
    pub dead: i64,
    /// For how many seconds the oldest one waits that should have run.
    pub late: i64,
}

/// Counts the queue; it holds what waits, and what was given up.
///
/// # Errors
/// Database errors only.
pub async fn waiting(conn: &mut PgConnection) -> Result<Waiting, sqlx::Error> {
    // Unchecked, because the queue's tables belong to its crate and are made at run time.
    sqlx::query_as(
        "select count(*) filter (where attempts < max_attempts) as jobs,
            count(*) filter (where attempts < max_attempts and key like 'mail:%') as mails,
            count(*) filter (where attempts >= max_attempts) as dead,
            coalesce(extract(epoch from now() - min(run_at) filter (
               where attempts < max_attempts and locked_at is null and run_at < now())), 0)::bigint as late
         from graphile_worker._private_jobs",
    )
    .fetch_one(conn)
    .await
}

/// Adds a job in the caller's transaction. Adding the same `key` again before it ran adds nothing new.
///
/// # Errors
/// Database errors, and payloads that are no JSON.
pub async fn enqueue<T: TaskHandler + serde::Serialize>(
    conn: &mut PgConnection,
    job: &T,
    key: &str,
) -> Result<(), sqlx::Error> {
    enqueue_after(conn, job, key, 0).await
}

/// As [`enqueue`], to run after a number of seconds.
///
/// # Errors
/// Database errors, and payloads that are no JSON.
pub async fn enqueue_after<T: TaskHandler + serde::Serialize>(
    conn: &mut PgConnection,
    job: &T,
    key: &str,
    seconds: i32,
) -> Result<(), sqlx::Error> {
    let payload = serde_json::to_value(job).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    // Unchecked, because the function is made beside the queue, whose schema belongs to the crate.
    sqlx::query("select enqueue_job($1, $2::json, $3, $4, $5)")
        .bind(T::IDENTIFIER)
        .bind(payload)
        .bind(MAX_ATTEMPTS)
        .bind(key)
        .bind(seconds)
        .execute(conn)
        .await?;
    Ok(())
}
