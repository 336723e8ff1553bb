//! The database of a command: the configured server, that of a running `farebox serve`, or one of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use sqlx::PgPool;

use crate::base::Secret;
use crate::config::Config;
use crate::db::embedded::{DATABASE, Embedded, EmbeddedError, Options, Profile};
use crate::db::migrate::Schema;
use crate::{db, jobs};

/// Where a server with an embedded database notes how to reach it, for other commands on this machine.
const NOTE: &str = "database_url";
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// What a command does where there is no database, or one of an older version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Makes what is missing, and tells other commands where it is.
    Serve,
    /// Makes what is missing.
    Migrate,
    /// Makes a database and its schema where there is none: what a new instance is filled with.
    Fill,
    /// Refuses. A database that is made for being looked at is clean, and says nothing of the one that was meant; and whoever only
    /// looks does not take the way back from an upgrade.
    Use,
}

pub struct Database {
    purpose: Purpose,
    url: Secret<String>,
    embedded: Option<Embedded>,
    note: Option<PathBuf>,
}

impl Database {
    /// # Errors
    /// Says what to do when no server can be had.
    pub fn open(config: &Config, purpose: Purpose) -> anyhow::Result<Database> {
        if let Some(url) = &config.database_url {
            return Ok(Database { purpose, url: url.clone(), embedded: None, note: None });
        }
        let data_dir = config.data_dir.join("postgres");
        if purpose == Purpose::Use && !Embedded::exists(&data_dir) {
            anyhow::bail!(
                "there is no database in {}. Set FAREBOX_DATABASE_URL, or FAREBOX_DATA_DIR to the directory of the server, or \
                 FAREBOX_CONFIG to its settings: a command needs the same ones as the server (docs/operations.md)",
                config.data_dir.display()
            );
        }
        let serving = purpose == Purpose::Serve;
        match Embedded::start(Options { data_dir, profile: Profile::Durable }) {
            Ok(embedded) => {
                let url = Secret::new(embedded.url(DATABASE));
                let note = serving.then(|| config.data_dir.join(NOTE));
                if let Some(path) = &note {
                    std::fs::write(path, url.expose()).context("cannot note where the database is")?;
                }
                Ok(Database { purpose, url, embedded: Some(embedded), note })
            }
            Err(error @ (EmbeddedError::Locked { .. } | EmbeddedError::AlreadyRunning { .. })) if !serving => {
                let url = running(&config.data_dir).ok_or(error)?;
                Ok(Database { purpose, url, embedded: None, note: None })
            }
            Err(error) => Err(error.into()),
        }
    }

    #[must_use]
    pub fn url(&self) -> &Secret<String> {
        &self.url
    }

    /// A pool on a database with the schema of this program.
    ///
    /// # Errors
    /// When the server does not answer, a migration fails, or the schema is another one and not this command's to change.
    pub async fn connect(&self) -> anyhow::Result<PgPool> {
        let options = db::pool::options(self.url.expose())?;
        let place = db::pool::place(&options);
        db::pool::knock(&options, ANSWERS_WITHIN)
            .await
            .with_context(|| format!("the database at {place} lets nobody in; check FAREBOX_DATABASE_URL"))?;
        let pool = db::pool::of(4)
            .acquire_timeout(ANSWERS_WITHIN)
            .connect_with(options)
            .await
            .with_context(|| format!("the database at {place} does not answer"))?;
        if self.may_migrate(&pool).await? {
            db::migrate(&pool).await.context("the schema could not be brought up to date")?;
            jobs::migrate(&pool).await?;
        }
        Ok(pool)
    }

    /// Whether this command brings the schema up to date; `false` where there is nothing to do.
    async fn may_migrate(&self, pool: &PgPool) -> anyhow::Result<bool> {
        if matches!(self.purpose, Purpose::Serve | Purpose::Migrate) {
            return Ok(true);
        }
        match db::migrate::schema(&mut *pool.acquire().await?).await? {
            Schema::Fits => Ok(false),
            Schema::Missing if self.purpose == Purpose::Fill => Ok(true),
            Schema::Missing => anyhow::bail!(
                "this database has no tables of Farebox: check its name in FAREBOX_DATABASE_URL; if it is new, run `farebox migrate`"
            ),
            Schema::Older(pending) => anyhow::bail!(
                "this database is of an older Farebox, {pending} migrations behind: run `farebox migrate` with this version, after \
                 a backup (docs/operations.md)"
            ),
            Schema::TooNew(needed) => anyhow::bail!(db::migrate::too_new(needed)),
        }
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
