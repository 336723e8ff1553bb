//! The log of a process, how many slow statements stand in it, and traces of its calls.

use std::io::IsTerminal as _;

use anyhow::Context;
use metrics::counter;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context as In, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::Config;
use crate::traces::Tracer;

/// Where statements of the database are logged, and at which level slow ones are.
const STATEMENTS: (&str, Level) = ("sqlx::query", Level::WARN);

/// # Errors
/// When the filter is not valid.
pub fn start_logging(config: &Config, serving: bool) -> anyhow::Result<()> {
    let default = if serving { config.log.as_str() } else { "warn" };
    let mut filter = EnvFilter::try_new(default).context("FAREBOX_LOG is no filter")?;
    // These say at `info` what an operator did not ask; whoever names them in the filter hears them.
    let quiet = ["graphile_worker", "sqlx::postgres::notice", "actix_server"];
    for part in quiet.into_iter().filter(|part| !default.contains(part)) {
        filter = filter.add_directive(format!("{part}=warn").parse()?);
    }
    // Colours are for a terminal; in a file or a journal they are rubbish.
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let log = tracing_subscriber::registry().with(filter).with(SlowStatements);
    if config.log_json {
        log.with(lines.json()).init();
    } else {
        log.with(lines).init();
    }
    Ok(())
}

/// Counts slow statements where they are logged. What they are given stands beside their text and is logged nowhere.
struct SlowStatements;

impl<S: Subscriber> Layer<S> for SlowStatements {
    fn on_event(&self, event: &Event<'_>, _: In<'_, S>) {
        let about = event.metadata();
        if (about.target(), *about.level()) == STATEMENTS {
            counter!("farebox_slow_statements_total").increment(1);
        }
    }
}

/// Makes traces of calls where a collector is configured.
///
/// # Errors
/// When its settings make no client.
pub fn tracer(config: &Config, tasks: &TaskTracker, stop: &CancellationToken) -> anyhow::Result<Tracer> {
    match &config.observe.traces {
        None => Ok(Tracer::off()),
        Some(settings) => {
            tracing::info!(collector = settings.endpoint.host_str().unwrap_or_default(), "traces of calls are sent");
            Tracer::start(settings.clone(), tasks, stop.clone())
        }
    }
}
