//! `farebox ledger`.

use std::process::ExitCode;

use clap::Subcommand;

use super::database::Database;
use crate::gateway;

#[derive(Subcommand)]
pub enum Ledger {
    /// Check that every balance equals the rows it stands for. Exit code 1 when something drifts.
    Verify,
    /// Release holds whose time has passed.
    Sweep,
}

/// # Errors
/// When the database does not answer. A drift is no error but exit code 1.
pub async fn run(command: Ledger, database: &Database) -> anyhow::Result<ExitCode> {
    let pool = database.connect().await?;
    match command {
        Ledger::Verify => {
            let mut tx = pool.begin().await?;
            // All sums must see one moment.
            sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
            let report = gateway::reconcile::verify(&mut tx).await?;
            for drift in &report.drifts {
                println!("DRIFT {}: {} should be {} and is {}", drift.rule, drift.subject, drift.expected, drift.found);
            }
            println!(
                "{} accounts, {} transfers, {} open holds: {}",
                report.accounts,
                report.transfers,
                report.holds,
                if report.is_clean() { "the books are clean" } else { "the books are NOT clean" }
            );
            Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Ledger::Sweep => {
            let swept = gateway::sweep::sweep_once(&pool).await?;
            println!("{swept} holds released");
            Ok(ExitCode::SUCCESS)
        }
    }
}
