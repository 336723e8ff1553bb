//! `farebox catalog` and `farebox providers`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::database::Database;
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::seal::Sealer;
use crate::base::{Origin, Secret};
use crate::catalog::{self, CatalogFile, Change, Missing};
use crate::config::{Config, derived_key};

/// Lines of one change that stand in the log; of a longer one the log has the number, too.
const MOST_LINES: usize = 200;

#[derive(Subcommand)]
pub enum CatalogCommand {
    /// Make the catalog say what a file says, and print what changed.
    Apply {
        file: PathBuf,
        /// Retire what the file does not name.
        #[arg(long)]
        prune: bool,
        /// Only print what would change.
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the catalog as a file.
    Export,
}

#[derive(Subcommand)]
pub enum Providers {
    /// Store a provider's key, read from standard input. It is sealed at rest and never shown.
    SetKey { provider: String },
}

/// # Errors
/// Names the line of the file that is wrong; then nothing was changed.
pub async fn run(command: CatalogCommand, database: &Database) -> anyhow::Result<ExitCode> {
    match command {
        CatalogCommand::Apply { file, prune, dry_run } => {
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let parsed = CatalogFile::parse(&text).with_context(|| format!("{} is not valid", file.display()))?;
            let missing = if prune { Missing::Retire } else { Missing::Keep };
            let pool = database.connect().await?;
            let mut tx = pool.begin().await?;
            let changes = if dry_run {
                catalog::preview(&mut tx, &parsed, missing).await?
            } else {
                let changes = catalog::apply(&mut tx, &parsed, missing).await?;
                note_changes(&mut tx, &changes).await?;
                changes
            };
            tx.commit().await?;
            for change in &changes {
                println!("{}", change.line);
            }
            println!("{} changes{}", changes.len(), if dry_run { " would be made" } else { "" });
        }
        CatalogCommand::Export => {
            let pool = database.connect().await?;
            let mut conn = pool.acquire().await?;
            print!("{}", catalog::export(&mut conn).await?.to_toml()?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes down what was changed, if anything was.
async fn note_changes(conn: &mut PgConnection, changes: &[Change]) -> Result<(), sqlx::Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let lines: Vec<&str> = changes.iter().take(MOST_LINES).map(|change| change.line.as_str()).collect();
    let after = json!({ "changes": changes.len(), "lines": lines });
    let entry = Entry::new(Chain::House, Actor::Operator, Action::CatalogApplied, &Origin::here());
    audit::record(conn, entry.on(Target::new("catalog", "file", "")).change(Value::Null, after)).await
}

/// # Errors
/// When the provider is unknown or no key came in.
pub async fn providers(command: Providers, config: &Config, database: &Database) -> anyhow::Result<ExitCode> {
    let Providers::SetKey { provider } = command;
    let mut text = String::new();
    std::io::stdin().read_line(&mut text)?;
    let key = text.trim();
    anyhow::ensure!(!key.is_empty(), "no key came in; pipe it to standard input");
    let sealer = Sealer::new(&derived_key(&config.secret_key, "seal"));
    let pool = database.connect().await?;
    let mut tx = pool.begin().await?;
    catalog::set_upstream_key(&mut tx, &sealer, &provider, &Secret::new(key.to_owned())).await?;
    let entry = Entry::new(Chain::House, Actor::Operator, Action::UpstreamKeySet, &Origin::here());
    let entry = entry.on(Target::new("provider", &provider, provider.as_str()));
    audit::record(&mut tx, entry.change(Value::Null, json!({ "key": "stored" }))).await?;
    tx.commit().await?;
    println!("the key of {provider} is stored");
    Ok(ExitCode::SUCCESS)
}
