//! The database of a command: the configured server, that of a running `farebox serve`, or one of its own.

use std::path::{Path, PathBuf};

use anyhow::Context;
use sqlx::PgPool;

use crate::base::Secret;
use crate::config::Config;
use crate::db::embedded::{DATABASE, Embedded, EmbeddedError, Options, Profile};
use crate::{db, jobs};

/// Where a server with an embedded database notes how to reach it, for other commands on this machine.
const NOTE: &str = "database_url";

pub struct Database {
    url: Secret<String>,
    embedded: Option<Embedded>,
    note: Option<PathBuf>,
}

impl Database {
    /// # Errors
    /// Says what to do when no server can be had.
    pub fn open(config: &Config, serving: bool) -> anyhow::Result<Database> {
        if let Some(url) = &config.database_url {
            return Ok(Database { url: url.clone(), embedded: None, note: None });
        }
        let options = Options { data_dir: config.data_dir.join("postgres"), profile: Profile::Durable };
        match Embedded::start(options) {
            Ok(embedded) => {
                let url = Secret::new(embedded.url(DATABASE));
                let note = serving.then(|| config.data_dir.join(NOTE));
                if let Some(path) = &note {
                    std::fs::write(path, url.expose()).context("cannot note where the database is")?;
                }
                Ok(Database { url, embedded: Some(embedded), note })
            }
            Err(error @ (EmbeddedError::Locked { .. } | EmbeddedError::AlreadyRunning { .. })) if !serving => {
                let url = running(&config.data_dir).ok_or(error)?;
                Ok(Database { url, embedded: None, note: None })
            }
            Err(error) => Err(error.into()),
        }
    }

    #[must_use]
    pub fn url(&self) -> &Secret<String> {
        &self.url
    }

    /// A pool on the migrated database.
    ///
    /// # Errors
    /// When the server does not answer or a migration fails.
    pub async fn connect(&self) -> anyhow::Result<PgPool> {
        let options = db::pool::options(self.url.expose())?;
        let pool = db::pool::of(4)
            .acquire_timeout(std::time::Duration::from_secs(10))
            .connect_with(options)
            .await
            .context("the database does not answer")?;
        db::migrate(&pool).await.context("the schema could not be brought up to date")?;
        jobs::migrate(&pool).await?;
        Ok(pool)
    }

    pub fn stop(&self) {
        if let Some(path) = &self.note {
            let _ = std::fs::remove_file(path);
        }
        if let Some(embedded) = &self.embedded {
            embedded.stop();
        }
    }
}

fn running(data_dir: &Path) -> Option<Secret<String>> {
    let url = std::fs::read_to_string(data_dir.join(NOTE)).ok()?;
    Some(Secret::new(url.trim().to_owned()))
}
