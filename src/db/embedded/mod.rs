//! A Postgres server of our own, run as a child process.
//!
//! It lets somebody try Farebox, or run its tests, without setting up a
//! database. What is always true of it:
//!
//! - It listens on a Unix socket in a directory that only its own user may
//!   enter, never on the network.
//! - It ends when this process ends, however this process ends.
//! - When it dies by itself it is started again, at a limited rate.
//! - When this process is root, the server runs as an unprivileged user.
//! - A directory that is not certainly ours to change is never deleted.

mod binaries;
mod cluster;
mod keeper;
mod place;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use keeper::Shared;
use place::Place;

/// The database that a new cluster starts with, and the name of its only role.
pub const DATABASE: &str = "farebox";

/// How much the server does to keep what was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Keeps every committed transaction over a crash. For real data.
    Durable,
    /// Never waits for the disk. A crash of the machine loses the cluster. For tests.
    Ephemeral,
}

/// Where the cluster lives and how careful it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster's directory. Made when missing; its parents too.
    pub data_dir: PathBuf,
    /// How durable commits are.
    pub profile: Profile,
}

impl Options {
    /// An ephemeral cluster in a fresh directory below the system's temporary
    /// one. [`Embedded::stop`] removes it; what a killed process left behind
    /// is removed by the next call.
    pub fn temporary() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        place::sweep_temporary();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { data_dir: place::temporary_root(std::process::id(), number).join("pg"), profile: Profile::Ephemeral }
    }
}

/// Why the embedded server does not run, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(
        "no Postgres server found (version {} or later). Run script/bootstrap, or install one \
         (Debian, Ubuntu: apt-get install postgresql), or name the directory that holds `postgres` \
         and `initdb` in FAREBOX_PG_BIN, or set DATABASE_URL to use a server you already have",
        binaries::OLDEST_MAJOR
    )]
    NoBinaries,
    #[error(
        "{dir} was made by Postgres {made_by}, but only version {found} is installed. Install \
         Postgres {made_by} beside it, or move the data over with pg_dump and restore"
    )]
    WrongVersion { dir: PathBuf, made_by: u32, found: String },
    #[error(
        "{dir} is not empty and is not a Postgres data directory. Move it away, or choose another \
         place with FAREBOX_DATA_DIR"
    )]
    NotADataDir { dir: PathBuf },
    #[error(
        "{dir} belongs to user id {owner}, but this process runs as {me}. Run Farebox as that user \
         (or as root), or hand the directory over: chown -R {me} {dir}"
    )]
    ForeignOwner { dir: PathBuf, owner: u32, me: u32 },
    #[error(
        "user id {uid}, as which Postgres runs because this process is root, may not enter {dir}. \
         Set FAREBOX_DATA_DIR to a directory that every user may reach, such as /var/lib/farebox"
    )]
    NotReachable { dir: PathBuf, uid: u32 },
    #[error(
        "another Farebox (process {holder}) is using {dir}. Stop it first, or choose another place \
         with FAREBOX_DATA_DIR"
    )]
    Locked { dir: PathBuf, holder: String },
    #[error(
        "a Postgres server (process {pid}) that Farebox did not start is running on {dir}. Stop it \
         with: kill -INT {pid}"
    )]
    AlreadyRunning { dir: PathBuf, pid: i32 },
    #[error("{what} failed. Its last words, from {log}:\n{words}")]
    Failed { what: &'static str, log: PathBuf, words: String },
    #[error("{what} took longer than {seconds} seconds. See {log}")]
    TimedOut { what: &'static str, seconds: u64, log: PathBuf },
    #[error("cannot {what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("the embedded Postgres was stopped")]
    Stopped,
}

/// A running server. Dropping it stops the server.
#[derive(Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
    keeper: Mutex<Option<JoinHandle<()>>>,
    data_dir: PathBuf,
    socket_dir: PathBuf,
    log_file: PathBuf,
}

impl Embedded {
    /// Starts a server, making the cluster first when there is none, and
    /// returns when it takes connections.
    ///
    /// Blocks for some seconds the first time: call it outside of async code.
    /// Fails with an error whose text tells the operator what to do.
    pub fn start(options: Options) -> Result<Self, EmbeddedError> {
        let place = Place::prepare(&options.data_dir)?;
        let (data_dir, socket_dir) = (place.data_dir.clone(), place.socket_dir.clone());
        let log_file = place.log_file.clone();
        let (shared, keeper) = keeper::launch(place, options.profile)?;
        Ok(Self { shared, keeper: Mutex::new(Some(keeper)), data_dir, socket_dir, log_file })
    }

    /// Whether there is a cluster in `data_dir`, or in the place that stands for it. Looks only.
    #[must_use]
    pub fn exists(data_dir: &Path) -> bool {
        place::is_there(data_dir)
    }

    /// The connection URL of `database` on this server.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres:///{}?host={}&user={DATABASE}&sslmode=disable",
            encode(database.as_bytes()),
            encode(self.socket_dir.as_os_str().as_encoded_bytes()),
        )
    }

    /// The server's process id; none while it is down.
    pub fn pid(&self) -> Option<u32> {
        self.shared.pid()
    }

    /// Where the cluster really is. Differs from what was asked for when the
    /// server's user may not enter that place.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The file that the server writes its messages to.
    pub fn log_file(&self) -> &Path {
        &self.log_file
    }

    /// Stops the server cleanly, starts it again, and returns when it takes
    /// connections. Open connections are closed. Blocks.
    pub fn restart(&self) -> Result<(), EmbeddedError> {
        self.shared.restart(&self.log_file)
    }

    /// Stops the server: cleanly at first, by force when that takes too long.
    /// Doing it twice is harmless. Blocks.
    pub fn stop(&self) {
        self.shared.stop();
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            // The keeper only logs; a panic in it has already been reported.
            let _ = keeper.join();
            place::remove_temporary(&self.data_dir);
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Percent-encodes what may not stand bare in the URL's path or query.
fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Attaches what was being done to an I/O error.
fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> EmbeddedError {
    let what = what.into();
    move |source| EmbeddedError::Io { what, source }
}
