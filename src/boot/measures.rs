//! What `/metrics` shows: every name with its meaning, and the figures that are counted when somebody asks.

use std::time::Duration;

use anyhow::Context;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::db::Pools;
use crate::gateway::spool::Spool;
use crate::{jobs, ledger, mail};

/// How often what was measured is put into its buckets. Without it, measurements would pile up while nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);
/// An answer to `/metrics` waits so long for the database; then the last figures stay.
const DATABASE_ANSWERS: Duration = Duration::from_secs(1);

/// Of calls and of upstreams, in seconds.
const LONG: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 600.0];
/// Of the ledger, in seconds.
const SHORT: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Of batches, in jobs.
const COUNTS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

const HISTOGRAMS: [(&str, &[f64], &str); 6] = [
    ("farebox_call_seconds", &LONG, "Time of admitted calls, from their admission to their place in the books."),
    ("farebox_first_token_seconds", &LONG, "Time from the question to an upstream to the first piece of its stream."),
    ("farebox_upstream_seconds", &LONG, "Time of one question to an upstream, with its whole answer."),
    ("farebox_admit_seconds", &SHORT, "Time that a call waited for its hold."),
    ("farebox_settle_seconds", &SHORT, "Time that a call waited until its settlement was durable."),
    ("farebox_settle_batch_size", &COUNTS, "Settlements of one batch."),
];

const COUNTERS: [(&str, &str); 24] = [
    ("farebox_calls_total", "Calls in the log, by how they ended."),
    ("farebox_tokens_total", "Tokens of calls; cached and cache_write are parts of prompt, reasoning of completion."),
    ("farebox_charged_microusd_total", "What calls were charged, in millionths of a dollar, cut off."),
    ("farebox_overrun_total", "Calls that cost more than was held for them."),
    ("farebox_overrun_microusd_total", "What the operator bore of them, in millionths of a dollar, cut off."),
    ("farebox_refused_total", "Calls that were refused before an upstream was asked, by HTTP status."),
    ("farebox_rejects_dropped_total", "Refused calls that were not logged, because too many waited."),
    ("farebox_abandoned_total", "Holds that were swept because their process died."),
    ("farebox_upstream_attempts_total", "Questions to upstreams, by what came of them."),
    ("farebox_settlements_lost_total", "Settlements that neither the database nor the disk took."),
    ("farebox_settlements_too_late_total", "Settlements that came after the calls of their time were deleted."),
    ("farebox_spool_dead_total", "Settlements of the spool that were put aside."),
    ("farebox_ledger_audits_failed_total", "Audits of the books that did not end."),
    ("farebox_texts_dropped_total", "Texts of calls that were to be kept and were not."),
    ("farebox_usage_closed_total", "Calls whose time was over and that were deleted."),
    ("farebox_webhooks_refused_total", "Messages of processors that were not believed."),
    ("farebox_fraud_warnings_total", "Payments that their bank reported as fraud."),
    ("farebox_webhook_attempts_total", "Messages sent to webhooks of organizations, by whether they were taken."),
    ("farebox_payments_for_deleted_total", "Payments that came in for an organization that is deleted."),
    ("farebox_spans_exported_total", "Spans of traces that the collector took."),
    (
        "farebox_spans_dropped_total",
        "Spans that were dropped, because the collector was slow, away, or did not take them.",
    ),
    ("farebox_pages_busy_total", "Pages that were refused because too many passwords waited for their hash."),
    ("farebox_slow_statements_total", "Statements of the database that took longer than FAREBOX_SLOW_QUERY_MS."),
    ("farebox_metrics_failed_total", "Answers to /metrics without fresh figures of the database."),
];

const GAUGES: [(&str, &str); 24] = [
    ("farebox_build_info", "The version that runs, as a label."),
    ("farebox_calls_running", "Calls that run in this process."),
    ("farebox_memory_bytes", "Memory of this process."),
    ("farebox_spool_depth", "Settlements of this process that wait on its disk for the database."),
    ("farebox_pool_connections", "Connections to the database that are open, by pool."),
    ("farebox_pool_idle", "Those of them that nobody uses."),
    ("farebox_pool_limit", "Connections that the pool may open."),
    ("farebox_holds_open", "Holds of running calls, of all processes."),
    ("farebox_holds_over", "Holds whose time has been over for a minute, of all processes."),
    ("farebox_jobs_waiting", "Jobs that wait or run, of all processes."),
    ("farebox_jobs_late_seconds", "For how long the oldest job waits that should have run."),
    ("farebox_jobs_dead", "Jobs that used up their tries."),
    ("farebox_mails_waiting", "Mails that wait to be sent."),
    ("farebox_mail_dead_letters", "Mails that used up their tries."),
    ("farebox_ledger_drift", "Sums of the books that were not what they should be, at the last audit."),
    ("farebox_ledger_audited_timestamp_seconds", "When any node last audited the books."),
    ("farebox_books_closed_day_timestamp_seconds", "The last day that was closed."),
    ("farebox_books_close_findings", "Findings of the last daily close."),
    ("farebox_usage_stray_calls", "Calls that belong to no month."),
    ("farebox_audit_last_anchor_timestamp_seconds", "When the audit log was last anchored."),
    ("farebox_reconcile_findings", "Findings of the last comparison with a processor for somebody to look at."),
    ("farebox_reconcile_incomplete", "Whether the last comparison with a processor did not end."),
    (
        "farebox_reconcile_difference_cents",
        "What a processor holds of the compared purchases, less what the books say.",
    ),
    ("farebox_reconcile_last_complete_timestamp_seconds", "The last complete comparison with a processor."),
];

/// Those whose labels are not known before something happens. All others are shown from the start, so that an alert on one
/// is not an alert on nothing.
const LABELLED: [&str; 7] = [
    "farebox_calls_total",
    "farebox_tokens_total",
    "farebox_refused_total",
    "farebox_upstream_attempts_total",
    "farebox_webhooks_refused_total",
    "farebox_fraud_warnings_total",
    "farebox_webhook_attempts_total",
];

/// Makes metrics, and tells of each what it means.
///
/// # Errors
/// When metrics were made before.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets, _) in HISTOGRAMS {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)?;
    }
    let handle = builder.install_recorder().context("metrics could not be started")?;
    for (name, _, means) in HISTOGRAMS {
        let unit = if name.ends_with("_seconds") { Unit::Seconds } else { Unit::Count };
        describe_histogram!(name, unit, means);
    }
    for (name, means) in COUNTERS {
        describe_counter!(name, means);
        if !LABELLED.contains(&name) {
            counter!(name).absolute(0);
        }
    }
    for (name, means) in GAUGES {
        describe_gauge!(name, means);
    }
    for status in crate::activity::STATUSES {
        counter!("farebox_calls_total", "status" => status).absolute(0);
    }
    for kind in ["prompt", "completion", "cached", "cache_write", "reasoning"] {
        counter!("farebox_tokens_total", "kind" => kind).absolute(0);
    }
    for name in [
        "farebox_spool_depth",
        "farebox_usage_stray_calls",
        // Before the first of each.
        "farebox_books_close_findings",
        "farebox_books_closed_day_timestamp_seconds",
        "farebox_audit_last_anchor_timestamp_seconds",
    ] {
        gauge!(name).set(0);
    }
    gauge!("farebox_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
    Ok(handle)
}

/// Runs until `stop`.
pub async fn upkeep(handle: PrometheusHandle, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(UPKEEP) => handle.run_upkeep(),
        }
    }
}

/// Figures that are looked up when somebody asks.
#[derive(Clone, Debug)]
pub struct Figures {
    pub handle: PrometheusHandle,
    pub pools: Pools,
    pub tasks: TaskTracker,
    pub spool: Spool,
}

impl Figures {
    /// Everything, in the text format of Prometheus. While the database is away its last figures stay.
    pub async fn render(&self) -> String {
        gauge!("farebox_calls_running").set(whole(i64::try_from(self.tasks.len()).unwrap_or(i64::MAX)));
        gauge!("farebox_spool_depth").set(whole(i64::try_from(self.spool.depth()).unwrap_or(i64::MAX)));
        if let Some(bytes) = memory() {
            gauge!("farebox_memory_bytes").set(bytes);
        }
        let Pools { general, lookup, admission, settlement } = &self.pools;
        let pools = [("general", general), ("lookup", lookup), ("admission", admission), ("settlement", settlement)];
        for (name, pool) in pools {
            show_pool(name, pool);
        }
        match tokio::time::timeout(DATABASE_ANSWERS, ask(general)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => counter!("farebox_metrics_failed_total").increment(1),
        }
        self.handle.render()
    }
}

fn show_pool(name: &'static str, pool: &PgPool) {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    gauge!("farebox_pool_connections", "pool" => name).set(pool.size());
    gauge!("farebox_pool_idle", "pool" => name).set(count(pool.num_idle()));
    gauge!("farebox_pool_limit", "pool" => name).set(pool.options().get_max_connections());
}

/// Counted where it is asked, for every node may be the one that changed it.
async fn ask(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let (open, over) = ledger::count_holds(&mut conn).await?;
    gauge!("farebox_holds_open").set(whole(open));
    gauge!("farebox_holds_over").set(whole(over));
    let waiting = jobs::waiting(&mut conn).await?;
    gauge!("farebox_jobs_waiting").set(whole(waiting.jobs));
    gauge!("farebox_jobs_late_seconds").set(whole(waiting.late));
    gauge!("farebox_jobs_dead").set(whole(waiting.dead));
    gauge!("farebox_mails_waiting").set(whole(waiting.mails));
    gauge!("farebox_mail_dead_letters").set(whole(mail::count_dead(&mut conn).await?));
    Ok(())
}

fn whole(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Bytes of this process that are in memory, as the system counts them.
fn memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u32 = line.split_whitespace().next()?.parse().ok()?;
    Some(f64::from(kilobytes) * 1_024.0)
}
