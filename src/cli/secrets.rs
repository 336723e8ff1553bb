//! `farebox secrets`.

use std::process::ExitCode;

use clap::Subcommand;

use super::database::Database;
use crate::config::{Config, keyring};
use crate::vault::{self, Vault};

#[derive(Subcommand)]
pub enum Secrets {
    /// Seal every organization's data key anew with the first key of FAREBOX_ENCRYPTION_KEYS. Servers go on meanwhile.
    Rotate,
    /// Say which key-encryption keys are in use, so that one that is not may be taken out of the configuration.
    Status,
}

/// # Errors
/// When the database does not answer. Data keys that nobody can open are no error but exit code 1.
pub async fn run(command: Secrets, config: &Config, database: &Database) -> anyhow::Result<ExitCode> {
    let keyring = keyring(config);
    let pool = database.connect().await?;
    let mut conn = pool.acquire().await?;
    match command {
        Secrets::Rotate => {
            let rotated = vault::rotate(&mut conn, &Vault::new(keyring.clone())).await?;
            println!("{} data keys sealed anew with key {}", rotated.done, keyring.current());
            if rotated.lost > 0 {
                println!("{} data keys are sealed with a key that is not configured", rotated.lost);
                return Ok(ExitCode::FAILURE);
            }
        }
        Secrets::Status => {
            println!("key {} seals", keyring.current());
            for (kek, count) in vault::wrapped_by(&mut conn).await? {
                println!("key {kek} has sealed {count} data keys");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
