//! `farebox doctor`: looks at everything that an instance depends on, and says what to do.
//!
//! What is always true here:
//! - It changes nothing: its database connections are read-only, no migration runs, and whoever is asked elsewhere is asked
//!   to show something. Only `--send` sends one mail.
//! - Every check runs, whatever the ones before it found, and each has its time.
//! - No secret is shown, also where an answer repeats one.

mod books;
mod clock;
mod database;
mod disk;
mod finding;
mod mail;
mod payments;
mod secrets;
mod settings;
mod sign_in;
mod store;
mod upstreams;

use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use chrono::TimeDelta;
use clap::Args;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, future};
use sqlx::PgPool;

pub use database::reach;
pub use finding::{Finding, Level, Report};

use super::database::Database;
use crate::base::seal::Sealer;
use crate::base::{Clock, EmailAddress, Secret};
use crate::config::{Config, Reading, derived_key, environment, read_leniently};
use crate::db;
use crate::outgoing::{HttpClient, HttpClientConfig};

/// The longest that one area is looked at; they are looked at side by side.
const LIMIT: Duration = Duration::from_secs(45);
/// With `--deep`: the books of years are added up.
const DEEP_LIMIT: Duration = Duration::from_secs(3_600);
/// An instance in trouble may have few connections left, so the areas take turns.
const CONNECTIONS: u32 = 4;
/// The database is asked once whether it is there at all. After that a busy one is only slow: an area waits for its turn for
/// most of its own time.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const TURN_WITHIN: Duration = Duration::from_secs(40);
/// A statement that looks at an instance takes no longer; those of `--deep` have an hour.
const STATEMENT: &str = "20000";
const DEEP_STATEMENT: &str = "3600000";
/// Shorter words are no secrets, and hiding them would garble what is said.
const MIN_HIDDEN: usize = 6;

#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
    /// Also add up all books, and check every close and every entry of the audit log.
    #[arg(long)]
    pub deep: bool,
    /// Also send one mail to this address.
    #[arg(long, value_name = "ADDRESS")]
    pub send: Option<EmailAddress>,
}

/// What the checks look with.
pub struct Patient<'a> {
    pub config: &'a Config,
    pub production: bool,
    pub has_secret_key: bool,
    /// `None` where there is no database to ask.
    pub pool: Option<PgPool>,
    pub http: HttpClient,
    pub sealer: Sealer,
    pub clock: Clock,
    /// Added to this machine's clock, so that a test can have one that is wrong.
    pub ahead: TimeDelta,
    pub deep: bool,
    pub send: Option<EmailAddress>,
}

/// Exit code 0 when all is well, 1 with warnings, 2 with faults.
///
/// # Errors
/// When not even a report can be made.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let reading = read_leniently(environment());
    // Starting a database blocks, so it happens outside of the async code.
    let database = reading.config.as_ref().map(reach);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let report = runtime.block_on(examine(&reading, database.as_ref(), options, TimeDelta::zero()));
    runtime.shutdown_timeout(Duration::from_secs(1));
    if let Some(Ok(database)) = &database {
        database.stop();
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.text());
    }
    Ok(ExitCode::from(report.code()))
}

/// Looks at everything. `ahead` is added to this machine's clock; it is zero but in tests.
pub async fn examine(
    reading: &Reading,
    database: Option<&Result<Database, Finding>>,
    options: &Options,
    ahead: TimeDelta,
) -> Report {
    let mut findings = within("configuration", LIMIT, settings::unread(reading).boxed()).await;
    let Some(config) = &reading.config else {
        let said = "nothing else could be looked at";
        findings.push(Finding { area: "configuration", ..Finding::fault("rest", said, "mend the settings above") });
        return Report::new(findings, &[]);
    };
    let http =
        HttpClient::new(HttpClientConfig { allow_private: config.allow_private_upstreams, ..Default::default() });
    let http = match http {
        Ok(http) => http,
        Err(error) => {
            findings.push(Finding {
                area: "configuration",
                ..Finding::fault("TLS", error.to_string(), "look at the system's TLS set-up")
            });
            return Report::new(findings, &hidden(config, None));
        }
    };
    let url = match database {
        Some(Ok(database)) => Some(database.url()),
        _ => None,
    };
    let reached = match (url.map(|url| pool(url, options.deep)), database) {
        (Some(Ok(pool)), _) => database::answers(pool).await,
        (None, Some(Err(none))) => Err(none.clone()),
        _ => Err(database::no_address()),
    };
    let (pool, none) = match reached {
        Ok(pool) => (Some(pool), None),
        Err(none) => (None, Some(none)),
    };
    let patient = Patient {
        config,
        production: reading.production,
        has_secret_key: reading.has_secret_key,
        pool,
        http,
        sealer: Sealer::new(&derived_key(&config.secret_key, "seal")),
        clock: Clock::system(),
        ahead,
        deep: options.deep,
        send: options.send.clone(),
    };
    let deep = if options.deep { DEEP_LIMIT } else { LIMIT };
    let areas = future::join_all([
        within("configuration", LIMIT, settings::check(&patient).boxed()),
        within("disk", LIMIT, disk::check(&patient).boxed()),
        within("database", LIMIT, database::check(&patient, none.as_ref()).boxed()),
        within("clock", LIMIT, clock::check(&patient).boxed()),
        within("secrets", LIMIT, secrets::check(&patient).boxed()),
        within("mail", LIMIT, mail::check(&patient).boxed()),
        within("payments", LIMIT, payments::check(&patient).boxed()),
        within("sign-in", LIMIT, sign_in::check(&patient).boxed()),
        within("providers", LIMIT, upstreams::check(&patient).boxed()),
        within("books", deep, books::check(&patient).boxed()),
    ])
    .await;
    findings.extend(areas.into_iter().flatten());
    if let Some(pool) = &patient.pool {
        let _ = tokio::time::timeout(Duration::from_secs(2), pool.close()).await;
    }
    Report::new(findings, &hidden(config, url))
}

async fn within(area: &'static str, limit: Duration, check: BoxFuture<'_, Vec<Finding>>) -> Vec<Finding> {
    let findings = tokio::time::timeout(limit, check).await.unwrap_or_else(|_| {
        let found = format!("did not end within {} seconds", limit.as_secs());
        vec![Finding::fault("time", found, "try again; if it stays, look at the network and the database's load")]
    });
    findings.into_iter().map(|one| Finding { area, ..one }).collect()
}

/// Connections that can read and nothing else.
fn pool(url: &Secret<String>, deep: bool) -> Result<PgPool, sqlx::Error> {
    let statement = if deep { DEEP_STATEMENT } else { STATEMENT };
    let options = db::pool::options(url.expose())?
        .application_name("farebox doctor")
        .options([("default_transaction_read_only", "on"), ("statement_timeout", statement)]);
    Ok(db::pool::of(CONNECTIONS).acquire_timeout(TURN_WITHIN).connect_lazy_with(options))
}

/// A question to the database that could not be answered.
fn unasked(check: &str, error: &sqlx::Error) -> Finding {
    let found = format!("could not be looked at: {error}");
    Finding::warning(check, found, "mend what is said under \"database\", then run this again")
}

fn no_database(check: &str) -> Finding {
    Finding::warning(check, "could not be looked at: there is no database", "see what is said under \"database\"")
}

/// Every secret of the configuration, and of the database where that is one of our own, in the forms in which it might come
/// back.
fn hidden(config: &Config, database: Option<&Secret<String>>) -> Vec<String> {
    let mut hidden = vec![hex::encode(config.secret_key.expose())];
    hidden.extend(config.own.keks.iter().map(|key| hex::encode(key.expose())));
    let urls = [config.database_url.as_ref(), config.smtp_url.as_ref(), database];
    hidden.extend(urls.into_iter().flatten().flat_map(passwords));
    hidden.extend(config.metrics_token.iter().map(|token| token.expose().clone()));
    hidden.extend(config.providers.iter().map(|provider| provider.client_secret.expose().clone()));
    let payments = &config.payments;
    if let Some(stripe) = &payments.stripe {
        hidden.push(stripe.key.expose().clone());
        hidden.extend(stripe.webhook_secrets.iter().map(|secret| secret.expose().clone()));
    }
    if let Some(btcpay) = &payments.btcpay {
        hidden.push(btcpay.key.expose().clone());
        hidden.extend(btcpay.webhook_secrets.iter().map(|secret| secret.expose().clone()));
    }
    if let Some(coinbase) = &payments.coinbase {
        hidden.extend(coinbase.webhook_secrets.iter().map(|secret| secret.expose().clone()));
    }
    let collectors = config.observe.traces.iter().flat_map(|traces| &traces.headers);
    hidden.extend(collectors.map(|(_, value)| value.expose().clone()));
    hidden.retain(|secret| secret.len() >= MIN_HIDDEN);
    // One that begins another must not leave the rest of it.
    hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    hidden
}

/// The password of an address, as it is written there and as it is meant.
fn passwords(url: &Secret<String>) -> Vec<String> {
    let Ok(parsed) = url.expose().parse::<url::Url>() else { return vec![url.expose().clone()] };
    let Some(password) = parsed.password() else { return Vec::new() };
    let meant = percent_encoding::percent_decode_str(password).decode_utf8_lossy().into_owned();
    // As it is sent to a mail server, which may repeat what it was told.
    let user = percent_encoding::percent_decode_str(parsed.username()).decode_utf8_lossy().into_owned();
    let base64 = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    vec![password.to_owned(), base64(format!("\0{user}\0{meant}")), base64(meant.clone()), meant]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_password_of_the_database_of_our_own_is_hidden() {
        let reading = read_leniently(BTreeMap::new());
        let Some(config) = &reading.config else { panic!("{:?}", reading.errors) };
        let url = "postgres://farebox:own%2Dsecret%2D4711@127.0.0.1:5432/farebox";
        let said = format!("cannot reach {url}, as own-secret-4711");
        let hidden = hidden(config, Some(&Secret::new(url.to_owned())));
        let text = Report::new(vec![Finding::fault("answer", said, "")], &hidden).text();
        assert!(text.contains("postgres://farebox:[hidden]@127.0.0.1") && !text.contains("4711"), "{text}");
    }
}
