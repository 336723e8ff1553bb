//! Connection pools: one for pages and the API, one for what calls look up, one for admissions, one for settlements.

use std::str::FromStr;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection as _, PgConnection, PgPool, Row};

/// Connections of pages, the API and jobs. Who hears of jobs and who hears of mails keep one of them each.
const MAX_GENERAL: u32 = 17;
/// Keys and presets that a call needs and the caches do not know. Apart from the pages, so that calls go on when those have
/// used their connections up. Whoever hears of changes has one more for itself.
const MAX_LOOKUP: u32 = 3;
/// Batches that do not fit, orphans, and holds that nobody heard of. The worker keeps one connection more for itself.
const MAX_ADMISSION: u32 = 2;
/// Settlements step by step, the spool and the sweeper. Settlements at once and the flusher keep one more each.
const MAX_SETTLEMENT: u32 = 3;
/// What a server opens at most: the pools, and what their workers keep for themselves.
pub const MOST_CONNECTIONS: u32 = MAX_GENERAL + (MAX_LOOKUP + 1) + (MAX_ADMISSION + 1) + (MAX_SETTLEMENT + 2);
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(2_500);
/// How long a connection that was given back may be busy with what was begun on it: somewhat longer than a statement of a page may
/// take. One that is cut off from its server would keep its place until the system gives it up, a quarter of an hour later.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// The hot path looks rows up by their key and nothing else, in statements that never change. Planning them anew for
/// each batch, or scanning a small table with many dead rows, would cost more than the work itself.
const KEYED_LOOKUPS: [(&str, &str); 5] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

/// The pools of one process.
#[derive(Clone, Debug)]
pub struct Pools {
    pub general: PgPool,
    pub lookup: PgPool,
    /// Commits without waiting for the disk: holds that a database crash loses cost nobody anything.
    pub admission: PgPool,
    pub settlement: PgPool,
}

impl Pools {
    /// Opens pools that connect when they are first used. Statements that take longer than `slow` are logged: their text,
    /// how long they took and how many rows they met, never the values that they were given.
    ///
    /// # Errors
    /// When `url` is no Postgres URL.
    pub fn open(url: &str, slow: Option<Duration>) -> Result<Pools, sqlx::Error> {
        let durable = logging(options(url)?, slow);
        let quick = durable
            .clone()
            .options([("synchronous_commit", "off"), ("statement_timeout", "2500")])
            .options(KEYED_LOOKUPS);
        let settling = durable
            .clone()
            .options([("statement_timeout", "5000"), ("idle_in_transaction_session_timeout", "30000")])
            .options(KEYED_LOOKUPS);
        let lookup = durable.clone().options([("statement_timeout", "2500"), ("jit", "off")]);
        // Compiling a plan over all parts of the calls takes longer than any page should.
        let general = durable.options([
            ("statement_timeout", "15000"),
            ("idle_in_transaction_session_timeout", "30000"),
            ("jit", "off"),
        ]);
        Ok(Pools {
            general: pool(MAX_GENERAL).connect_lazy_with(general),
            lookup: pool(MAX_LOOKUP).connect_lazy_with(lookup),
            admission: pool(MAX_ADMISSION).connect_lazy_with(quick),
            settlement: pool(MAX_SETTLEMENT).connect_lazy_with(settling),
        })
    }

    pub async fn close(&self) {
        tokio::join!(self.general.close(), self.lookup.close(), self.admission.close(), self.settlement.close());
    }
}

/// Reads a Postgres URL and sets what every connection of Farebox has in common.
///
/// # Errors
/// When `url` is no Postgres URL.
pub fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(PgConnectOptions::from_str(url)?.application_name("farebox").options([
        ("lock_timeout", "10000"),
        ("timezone", "UTC"),
        ("default_transaction_isolation", "read committed"),
    ]))
}

/// Where a database is, without who asks for it.
#[must_use]
pub fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => format!("socket {}", socket.display()),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// Opens one connection and closes it. A pool tries again and again where nobody listens, and then says only that time ran out.
///
/// # Errors
/// Why the first try failed.
pub async fn knock(options: &PgConnectOptions, within: Duration) -> Result<(), sqlx::Error> {
    match tokio::time::timeout(within, options.connect()).await {
        Ok(Ok(conn)) => {
            conn.close().await.ok();
            Ok(())
        }
        Ok(Err(error)) => Err(error),
        Err(_) => {
            let said = format!("no answer within {} seconds", within.as_secs());
            Err(std::io::Error::new(std::io::ErrorKind::TimedOut, said).into())
        }
    }
}

/// Whether waiting is of no use: the user, the password or the name of the database is wrong.
#[must_use]
pub fn is_final(error: &sqlx::Error) -> bool {
    const REFUSED: [&str; 3] = ["28P01", "28000", "3D000"];
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| REFUSED.contains(&code.as_ref()))
}

/// The words of levels belong to a crate that we do not name otherwise.
fn logging(options: PgConnectOptions, slow: Option<Duration>) -> PgConnectOptions {
    let level = if slow.is_some() { "warn" } else { "off" };
    match level.parse() {
        Ok(level) => options.log_slow_statements(level, slow.unwrap_or(Duration::MAX)),
        Err(_) => options,
    }
}

fn pool(max: u32) -> PgPoolOptions {
    of(max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(Duration::from_secs(600))
        // A dead connection costs one failed statement, which every caller handles;
        // a ping before each use would cost every call a round trip.
        .test_before_acquire(false)
}

/// A pool of at most `max` connections, none of which goes to its next user with a transaction of the last one.
///
/// Whoever is dropped while its transaction begins, as a page is whose reader leaves, leaves it open: sqlx 0.9.0 counts
/// a transaction from the answer on, so it rolls back nothing, and `ping` does not tell. What the next one changes would
/// be told as done and undone later, behind the wall of somebody else's organization, and after one error nothing works
/// on that connection any more (<https://github.com/transact-rs/sqlx/issues/4393>). The question is asked after the
/// connection was given back: whoever used it does not wait for it, the next one may.
#[must_use]
pub fn of(max: u32) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(max).after_release(|conn, _| has_ended(conn))
}

/// An error says the same: a transaction that failed answers nothing.
fn has_ended(conn: &mut PgConnection) -> BoxFuture<'_, Result<bool, sqlx::Error>> {
    // Without parameters it is one message, and a transaction of its own begins at its very moment.
    const SINGLE: &str = "select transaction_timestamp() = statement_timestamp() as ended";
    async move {
        let asked = sqlx::raw_sql(SINGLE).fetch_one(conn);
        let answer = tokio::time::timeout(ENDS_WITHIN, asked).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        answer.try_get("ended")
    }
    .boxed()
}
