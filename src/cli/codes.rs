//! `farebox codes`.

use std::process::ExitCode;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use clap::Subcommand;

use super::database::Database;
use crate::audit::{Action, Actor, Chain, Entry};
use crate::base::ids::BatchId;
use crate::base::{Origin, Usd};
use crate::config::{Config, derived_key};
use crate::topups::codes::{self, Batch, CodeKey, NewBatch};

/// Batches that are listed, the newest.
const LISTED: i64 = 1_000;

#[derive(Subcommand)]
pub enum Codes {
    /// Make redemption codes and print them, one a line. They are shown only now.
    Create {
        /// What one use of a code gives, in dollars.
        #[arg(long)]
        amount: Usd,
        /// How many codes.
        #[arg(long, default_value_t = 1)]
        count: u32,
        /// The last day on which they work, by UTC, like 2027-01-31; without it they do not expire.
        #[arg(long)]
        expires: Option<NaiveDate>,
        /// How often each code can be used.
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// How often one organization can use codes of this batch, whichever they are.
        #[arg(long, default_value_t = 1)]
        per_org: u32,
        /// What they are for; only operators see it.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// List batches of codes, what was redeemed of them, and their state; never the codes.
    List,
    /// Make what is left of a batch worthless. What was redeemed stays.
    Revoke { batch: BatchId },
}

/// # Errors
/// Says what was wrong; then nothing was done.
pub async fn run(command: Codes, config: &Config, database: &Database) -> anyhow::Result<ExitCode> {
    let pool = database.connect().await?;
    match command {
        Codes::Create { amount, count, expires, uses, per_org, note } => {
            let expires_at = expires.map(end_of).transpose()?;
            let new = NewBatch { amount, codes: count, uses_per_code: uses, uses_per_org: per_org, expires_at, note };
            let key = CodeKey::new(derived_key(&config.secret_key, codes::KEY_PURPOSE));
            let mut tx = pool.begin().await?;
            let (id, made) = codes::make(&mut tx, &key, &new).await?;
            tx.commit().await?;
            eprintln!("{id}: {count} codes of {}. They are shown only now:", amount.display());
            for code in &made {
                println!("{}", code.reveal());
            }
        }
        Codes::List => {
            let mut conn = pool.acquire().await?;
            let now = crate::base::Clock::system().now();
            for batch in codes::batches(&mut conn, LISTED).await? {
                println!("{}", line(&batch, now));
            }
        }
        Codes::Revoke { batch } => {
            let mut tx = pool.begin().await?;
            let entry = Entry::new(Chain::House, Actor::Operator, Action::CodesRevoked, &Origin::here());
            let revoked = codes::revoke(&mut tx, batch, entry).await?;
            tx.commit().await?;
            match revoked {
                None => anyhow::bail!("there is no batch {batch}; `farebox codes list` shows them"),
                Some(true) => println!("{batch} is revoked"),
                Some(false) => println!("{batch} was revoked before"),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The moment at which a day is over.
fn end_of(day: NaiveDate) -> anyhow::Result<DateTime<Utc>> {
    let next = day.checked_add_days(Days::new(1)).ok_or_else(|| anyhow::anyhow!("{day} is too far away"))?;
    Ok(next.and_time(NaiveTime::MIN).and_utc())
}

fn line(batch: &Batch, now: DateTime<Utc>) -> String {
    let state = match (batch.revoked_at, batch.expires_at) {
        (Some(at), _) => format!("revoked {}", at.format("%Y-%m-%d")),
        (None, Some(at)) if at <= now => "expired".to_owned(),
        (None, Some(at)) => format!("until {}", (at - chrono::TimeDelta::seconds(1)).format("%Y-%m-%d")),
        (None, None) => "open".to_owned(),
    };
    format!(
        "{}  {}  {} x {}, {} uses each, {} an organization  redeemed {} times, {}  {state}  {}",
        batch.id,
        batch.created_at.format("%Y-%m-%d"),
        batch.codes,
        batch.amount.display(),
        batch.uses_per_code,
        batch.uses_per_org,
        batch.used,
        batch.given.display(),
        batch.note,
    )
    .trim_end()
    .to_owned()
}
