//! `farebox keys`.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Subcommand;

use super::database::Database;
use super::people;
use crate::audit::Actor;
use crate::base::{Clock, EmailAddress, Origin, Usd};
use crate::keys::{self, By, KeyKind, KeyName, NewKey, Powers};
use crate::ledger::Limits;

#[derive(Subcommand)]
pub enum Keys {
    /// Issue a key, making the account and its organization if they are missing, and print the key once.
    Issue {
        #[arg(long)]
        email: EmailAddress,
        #[arg(long, default_value = "command line")]
        name: String,
        /// Grant so many dollars of credits as well.
        #[arg(long)]
        credits: Option<Usd>,
        /// The key stops at so many dollars.
        #[arg(long)]
        limit: Option<Usd>,
        /// The key stops at so many dollars a UTC day.
        #[arg(long)]
        limit_daily: Option<Usd>,
        /// The key stops at so many dollars a week, from Monday.
        #[arg(long)]
        limit_weekly: Option<Usd>,
        /// The key stops at so many dollars a calendar month.
        #[arg(long)]
        limit_monthly: Option<Usd>,
        /// Make a provisioning key: it manages the keys that it issues, within its limits.
        #[arg(long)]
        provisioning: bool,
        /// A provisioning key that may call models as well.
        #[arg(long, requires = "provisioning")]
        may_call: bool,
        /// What calls cost on the organization's own provider accounts counts against these limits too.
        #[arg(long)]
        include_byok: bool,
        /// When the key stops working, like 2027-01-01T00:00:00Z.
        #[arg(long, value_parser = moment)]
        expires: Option<DateTime<Utc>>,
        #[arg(long)]
        json: bool,
    },
}

fn moment(text: &str) -> Result<DateTime<Utc>, &'static str> {
    text.parse().map_err(|_| "write it like 2027-01-01T00:00:00Z")
}

/// # Errors
/// Says what was wrong; then nothing was made.
pub async fn run(command: Keys, database: &Database) -> anyhow::Result<ExitCode> {
    let Keys::Issue { email, name, credits, limit, limit_daily, limit_weekly, limit_monthly, .. } = &command;
    let Keys::Issue { provisioning, may_call, include_byok, expires, json, .. } = command;
    let name = KeyName::parse(name).map_err(|error| anyhow::anyhow!("the key {error}"))?;
    let limits = Limits { total: *limit, day: *limit_daily, week: *limit_weekly, month: *limit_monthly };
    let pool = database.connect().await?;
    let mut tx = pool.begin().await?;
    let (person, org) = people::enter(&mut tx, email).await?;
    if let Some(credits) = credits {
        people::grant(&mut tx, &org, *credits, "granted with a key", None).await?;
    }
    let kind = if provisioning { KeyKind::Provisioning } else { KeyKind::Inference };
    let plain = NewKey::named(name, kind);
    let powers = Powers { call: plain.powers.call || may_call, ..plain.powers };
    let new = NewKey { limits, include_byok, expires_at: expires, powers, ..plain };
    let origin = Origin::here();
    let by = By { actor: Actor::Operator, name: "", origin: &origin };
    let issued = keys::issue(&mut tx, &by, org.id, Some(person.id), Clock::system().now(), new).await?;
    tx.commit().await?;
    if json {
        let shown = serde_json::json!({
            "key": issued.plain.reveal(),
            "id": issued.id,
            "hash": issued.plain.digest().to_hex(),
            "label": issued.label,
            "organization": org.id,
            "person": person.id,
        });
        println!("{shown}");
    } else {
        eprintln!("{} for {email}. It is shown only now:", issued.label);
        println!("{}", issued.plain.reveal());
    }
    Ok(ExitCode::SUCCESS)
}
