//! `farebox audit`.

use std::process::ExitCode;

use clap::Subcommand;

use super::database::Database;
use crate::audit;

#[derive(Subcommand)]
pub enum Audit {
    /// Recompute the chain of every audit log. Exit code 1 when an entry was changed, removed or put in.
    Verify,
}

/// # Errors
/// When the database does not answer. A broken chain is no error but exit code 1.
pub async fn run(command: Audit, database: &Database) -> anyhow::Result<ExitCode> {
    let Audit::Verify = command;
    let pool = database.connect().await?;
    let mut tx = pool.begin().await?;
    // Heads and entries must be of one moment.
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let verified = audit::verify(&mut tx).await?;
    for broken in &verified.broken {
        println!("BROKEN {} entry {}: {}", broken.chain, broken.seq, broken.why);
    }
    let state = if verified.is_clean() { "every chain is whole" } else { "a chain is BROKEN" };
    println!("{} chains, {} entries: {state}", verified.chains, verified.entries);
    Ok(if verified.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
