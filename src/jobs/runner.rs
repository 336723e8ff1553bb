//! Running jobs, and starting again when the database comes back.

use std::time::Duration;

use anyhow::Context;
use graphile_worker::WorkerOptions;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

pub const SCHEMA: &str = "graphile_worker";
/// Jobs that a worker runs at once.
const CONCURRENCY: usize = 4;
const RETRY_AFTER: Duration = Duration::from_millis(500);
const STOP_WITHIN: Duration = Duration::from_secs(4);
/// A job whose process was killed runs again after about this long.
const DEAD_AFTER: Duration = Duration::from_secs(30);
/// Any number; it only has to be ours.
const MIGRATION_LOCK: i64 = 0x0fa2_eb0c;

/// Whoever may act for an organization may leave jobs behind, but neither see nor change any.
const ENQUEUE: &str = "
    create or replace function enqueue_job(kind text, payload json, tries integer, key text, seconds integer)
    returns void language sql security definer set search_path = pg_catalog, pg_temp as $$
        select graphile_worker.add_job(kind, payload, max_attempts => tries, job_key => key,
            run_at => now() + make_interval(secs => seconds))
    $$;
    revoke all on function enqueue_job from public;
    grant execute on function enqueue_job to farebox_tenant";

/// Creates or updates the queue's tables; one process at a time.
///
/// # Errors
/// When the database refuses.
pub async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    let mut lock = pool.acquire().await?;
    sqlx::query("select pg_advisory_lock($1)").bind(MIGRATION_LOCK).execute(&mut *lock).await?;
    let migrated = make(pool).await;
    sqlx::query("select pg_advisory_unlock($1)").bind(MIGRATION_LOCK).execute(&mut *lock).await?;
    migrated.context("the job queue's tables could not be made")
}

async fn make(pool: &PgPool) -> anyhow::Result<()> {
    let options = WorkerOptions::default().pg_pool(pool.clone()).schema(SCHEMA);
    options.init().await.map_err(|error| anyhow::anyhow!("{error}"))?;
    sqlx::raw_sql(ENQUEUE).execute(pool).await?;
    Ok(())
}

/// Works until `stop`. `define` names the kinds of jobs and what they need; jobs of other kinds are left to other workers, so that
/// none waits for a kind that is slow. Each worker keeps a connection of the pool, to hear of jobs.
pub async fn run(pool: PgPool, define: impl Fn(WorkerOptions) -> WorkerOptions, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = run_once(&pool, &define, &stop).await {
            tracing::warn!(%error, "jobs are paused; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(RETRY_AFTER) => {}
        }
    }
}

async fn run_once(
    pool: &PgPool,
    define: &impl Fn(WorkerOptions) -> WorkerOptions,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let options = WorkerOptions::default()
        .pg_pool(pool.clone())
        .schema(SCHEMA)
        .concurrency(CONCURRENCY)
        .poll_interval(Duration::from_secs(1))
        .listen_os_shutdown_signals(false)
        .heartbeat_interval(DEAD_AFTER / 3)
        .sweep_interval(DEAD_AFTER / 2)
        .sweep_threshold(DEAD_AFTER);
    let worker = define(options).init().await.map_err(|error| anyhow::anyhow!("{error}"))?;
    tokio::select! {
        result = worker.run() => result.map_err(|error| anyhow::anyhow!("{error}")),
        () = stop.cancelled() => {
            worker.request_shutdown();
            let _ = tokio::time::timeout(STOP_WITHIN, worker.run()).await;
            Ok(())
        }
    }
}
