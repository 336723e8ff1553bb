//! `farebox ledger`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use chrono::TimeDelta;
use clap::Subcommand;

use super::database::Database;
use crate::books;
use crate::boot;
use crate::config::Config;
use crate::gateway;
use crate::gateway::spool;
use crate::ledger;

/// Of a database whose books cannot be clean, for they are not there.
pub const NOT_WHOLE: &str = "the accounts of the house or the rules of the journal are missing: this is no whole database of Farebox, \
                             such as one whose restore broke off; restore a dump that pg_dump ended with 0 (docs/operations.md)";

#[derive(Subcommand)]
pub enum Ledger {
    /// Check that every balance equals the rows it stands for. Exit code 1 when something drifts.
    Verify,
    /// Close the days that have ended, as the server does by itself.
    Close,
    /// Recompute every daily close and compare it with the transfers of its day. Exit code 1 when one is not as it was
    /// written.
    Closes,
    /// Release holds whose time has passed.
    Sweep,
    /// List settlements of this node that could not be written and were put aside.
    Dead,
    /// Put them back, after their cause is mended. The running server writes them within a minute.
    Respool,
}

/// # Errors
/// When the database does not answer, or the spool cannot be read. A drift is no error but exit code 1.
pub async fn run(command: Ledger, config: &Config, database: &Database) -> anyhow::Result<ExitCode> {
    match command {
        Ledger::Verify => {
            let pool = database.connect().await?;
            let mut tx = pool.begin().await?;
            // All sums must see one moment.
            sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
            anyhow::ensure!(ledger::is_whole(&mut tx).await?, NOT_WHOLE);
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
        Ledger::Close => {
            let closed =
                books::close_due(&database.connect().await?, &boot::close_key(config), TimeDelta::zero()).await?;
            for close in &closed {
                println!("{}: {} transfers, {} findings", close.day, close.transfers, close.findings);
                close.report.lines().for_each(|line| println!("  {line}"));
            }
            println!("{} days closed", closed.len());
            let clean = closed.iter().all(books::Close::is_clean);
            Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Ledger::Closes => {
            let pool = database.connect().await?;
            let mut tx = pool.begin().await?;
            sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
            let verified = books::verify_closes(&mut tx, &boot::close_key(config)).await?;
            for (day, why) in &verified.faults {
                println!("BROKEN {day}: {why}");
            }
            let state =
                if verified.is_clean() { "every close is as it was written" } else { "NOT as they were written" };
            println!("{} closes: {state}", verified.closes);
            Ok(if verified.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Ledger::Sweep => {
            let swept = gateway::sweep::sweep_once(&database.connect().await?).await?;
            println!("{swept} holds released");
            Ok(ExitCode::SUCCESS)
        }
        Ledger::Dead => {
            list_dead(&config.data_dir)?;
            Ok(ExitCode::SUCCESS)
        }
        Ledger::Respool => {
            let revived = spool::revive(&config.data_dir, |line| gateway::settle::call_of(line).is_some());
            let revived = revived.context("the spool in FAREBOX_DATA_DIR")?;
            println!("{} settlements put back, {} lines are none and stay aside", revived.back, revived.left);
            Ok(if revived.left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

fn list_dead(data_dir: &Path) -> anyhow::Result<()> {
    let mut lines = 0;
    for file in spool::dead(data_dir).context("the spool in FAREBOX_DATA_DIR")? {
        println!("{}", file.path.display());
        for line in &file.lines {
            lines += 1;
            match gateway::settle::call_of(line) {
                Some(call) => println!("  call {call}"),
                None => println!("  a line that is no settlement, or is damaged"),
            }
        }
    }
    println!("{lines} lines");
    Ok(())
}
