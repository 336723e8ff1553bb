//! `farebox audit`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use sqlx::PgPool;

use super::database::Database;
use crate::audit::{self, Due};
use crate::boot;
use crate::config::Config;

/// Anchors printed; one a day makes ten years of this.
const MAX_PRINTED: i64 = 4_000;
/// A file of copies is not larger: forty years of days in log lines.
const MAX_COPIES_BYTES: u64 = 16 * 1024 * 1024;

#[derive(Subcommand)]
pub enum Audit {
    /// Recompute the chain of every audit log, and compare it with its anchors. Exit code 1 when an entry was changed,
    /// removed or put in.
    Verify {
        /// A file with lines of anchors that were kept elsewhere: mails, logs, or what `farebox audit anchors` printed.
        #[arg(long, value_name = "FILE")]
        copies: Option<PathBuf>,
    },
    /// Take an anchor now, besides the daily one, and print it.
    Anchor,
    /// Print the anchors, to be kept elsewhere.
    Anchors,
}

/// # Errors
/// When the database does not answer, or a file cannot be read. A broken chain is no error but exit code 1.
pub async fn run(command: Audit, config: &Config, database: &Database) -> anyhow::Result<ExitCode> {
    let pool = database.connect().await?;
    match command {
        Audit::Verify { copies } => verify(&pool, config, copies).await,
        Audit::Anchor => match boot::anchoring(config).take(&pool, Due::Now).await? {
            Some(anchor) => {
                println!("{}", anchor.line());
                Ok(ExitCode::SUCCESS)
            }
            None => anyhow::bail!("another process is taking an anchor at this moment; try again"),
        },
        Audit::Anchors => {
            for anchor in audit::anchors(&mut *pool.acquire().await?, 0, MAX_PRINTED).await? {
                println!("{}", anchor.line());
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn verify(pool: &PgPool, config: &Config, copies: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let copies = match copies {
        None => Vec::new(),
        Some(path) => {
            let shown = path.display().to_string();
            let size = std::fs::metadata(&path).with_context(|| format!("cannot read {shown}"))?.len();
            anyhow::ensure!(size <= MAX_COPIES_BYTES, "{shown} is larger than 16 MiB; keep only lines with anchors");
            let copies =
                audit::copies(&std::fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?);
            anyhow::ensure!(!copies.is_empty(), "{shown} has no line with an anchor");
            copies
        }
    };
    let mut tx = pool.begin().await?;
    // Heads, entries and anchors must be of one moment.
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let verified = audit::verify(&mut tx).await?;
    let anchored = audit::verify_anchors(&mut tx, &boot::anchoring(config).key, &copies).await?;
    for broken in &verified.broken {
        println!("BROKEN {} entry {}: {}", broken.chain, broken.seq, broken.why);
    }
    for fault in &anchored.faults {
        println!("BROKEN anchor {}: {}", fault.number, fault.why);
    }
    let clean = verified.is_clean() && anchored.is_clean();
    let state = if clean { "every chain is whole" } else { "a chain is BROKEN" };
    println!("{} chains, {} entries: {state}", verified.chains, verified.entries);
    match anchored.newest {
        Some(at) => println!(
            "{} anchors, the newest of {}; {} copies from outside compared",
            anchored.anchors,
            at.format("%Y-%m-%d %H:%M UTC"),
            anchored.copies
        ),
        None => println!("no anchor yet: the server takes the first when it starts"),
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
