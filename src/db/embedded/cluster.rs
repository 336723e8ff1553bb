//! The cluster on disk: made in one step, and cleared of what a crash left.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::binaries::Binaries;
use super::place::{Place, User, beside};
use super::{DATABASE, EmbeddedError, Profile, io};

/// Making a cluster takes about two seconds; a slow disk gets more.
const INIT_LIMIT: Duration = Duration::from_secs(180);

/// How long a server that is shutting down may take to write its last page.
const STOPPING_LIMIT: Duration = Duration::from_secs(60);

/// How long to watch a running server for signs that it is about to stop. Its
/// signal to stop comes when the process that started it dies, a moment later.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(3);

/// How long processes of a dead server may take to notice that it is dead.
const ORPHAN_LIMIT: Duration = Duration::from_secs(2);

/// How often to look again while waiting for another process.
pub(super) const POLL: Duration = Duration::from_millis(10);

/// How much of the log goes into an error.
const WORDS_LIMIT_BYTES: i64 = 2_000;

/// Settings of every cluster that we run.
const COMMON: &[&str] = &[
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_connections=200",
    "timezone=UTC",
    "log_timezone=UTC",
    "logging_collector=off",
    "log_destination=stderr",
    "log_checkpoints=off",
    // A DETAIL line would quote the row, and with it personal data.
    "log_error_verbosity=terse",
];

/// What makes tests fast and data perishable.
const EPHEMERAL: &[&str] = &["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"];

impl Profile {
    fn settings(self) -> impl Iterator<Item = &'static str> {
        let more: &[&str] = match self {
            Self::Durable => &[],
            Self::Ephemeral => EPHEMERAL,
        };
        COMMON.iter().chain(more).copied()
    }
}

/// A command that runs as the server's user, in a process group of its own so
/// that Ctrl-C reaches only us, with no part of our environment (it holds
/// secrets), and that gets `SIGINT` when the calling *thread* ends.
fn command(program: &Path, place: &Place) -> Result<Command, EmbeddedError> {
    let log = place.log()?;
    let errors = log.try_clone().map_err(io("share the log file"))?;
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors);
    let User { uid, gid, switch } = place.user;
    if switch {
        command.uid(uid).gid(gid);
    }
    let parent = std::process::id();
    // SAFETY: the closure runs in the forked child, makes two system calls and
    // allocates nothing. It runs after the change of user, which is needed:
    // changing the user clears the death signal.
    unsafe {
        command.pre_exec(move || {
            let signal = libc::c_ulong::from(libc::SIGINT.unsigned_abs());
            if libc::prctl(libc::PR_SET_PDEATHSIG, signal) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            // The parent may have died just before the signal was arranged.
            if libc::getppid().unsigned_abs() != parent {
                return Err(std::io::ErrorKind::Interrupted.into());
            }
            Ok(())
        });
    }
    Ok(command)
}

/// Starts the server. The caller's thread must live as long as the server.
pub(super) fn spawn(place: &Place, binaries: &Binaries, profile: Profile) -> Result<Child, EmbeddedError> {
    let mut command = command(&binaries.postgres(), place)?;
    command.arg("-D").arg(&place.data_dir).arg("-k").arg(&place.socket_dir);
    for setting in profile.settings() {
        command.arg("-c").arg(setting);
    }
    command.spawn().map_err(io("start Postgres"))
}

/// Makes the cluster when there is none. It is built beside its final place and
/// renamed when complete, so an interruption never leaves half of one.
pub(super) fn ensure(place: &Place, binaries: &Binaries, profile: Profile) -> Result<(), EmbeddedError> {
    if place.data_dir.join("global/pg_control").exists() {
        return Ok(());
    }
    clear_the_way(&place.data_dir)?;
    let scratch = beside(&place.data_dir, "new");
    if scratch.exists() {
        // We hold the lock, so whoever was building here is gone.
        std::fs::remove_dir_all(&scratch).map_err(io(format!("remove {}", scratch.display())))?;
    }
    std::fs::create_dir(&scratch).map_err(io(format!("make {}", scratch.display())))?;
    place.user.own(&scratch)?;
    initdb(place, binaries, profile, &scratch)?;
    create_database(place, binaries, profile, &scratch)?;
    std::fs::rename(&scratch, &place.data_dir)
        .map_err(io(format!("move the new cluster to {}", place.data_dir.display())))?;
    if profile == Profile::Durable {
        let parent = place.data_dir.parent().unwrap_or(Path::new("/"));
        let sync = File::open(parent).and_then(|dir| dir.sync_all());
        sync.map_err(io(format!("sync {}", parent.display())))?;
    }
    Ok(())
}

/// Moves the remains of an interrupted `initdb` aside. Anything else that is
/// in the way is not ours to touch.
fn clear_the_way(data_dir: &Path) -> Result<(), EmbeddedError> {
    let mut entries = match data_dir.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(format!("read {}", data_dir.display()))(error)),
    };
    if entries.next().is_none() {
        return Ok(());
    }
    if !data_dir.join("PG_VERSION").exists() {
        return Err(EmbeddedError::NotADataDir { dir: data_dir.to_owned() });
    }
    let aside = (1..)
        .map(|number| beside(data_dir, &format!("half-made-{number}")))
        .find(|aside| !aside.exists())
        .unwrap_or_else(|| beside(data_dir, "half-made"));
    tracing::warn!(
        from = %data_dir.display(), to = %aside.display(),
        "moved a half-made cluster aside; delete it when you do not need it"
    );
    std::fs::rename(data_dir, &aside).map_err(io(format!("move {} aside", data_dir.display())))
}

fn initdb(place: &Place, binaries: &Binaries, profile: Profile, scratch: &Path) -> Result<(), EmbeddedError> {
    tracing::info!(dir = %place.data_dir.display(), "making a new Postgres cluster");
    let mut command = command(&binaries.initdb(), place)?;
    command.arg("-D").arg(scratch).args(["-U", DATABASE, "--auth=trust"]);
    command.args(["--encoding=UTF8", "--locale=C.UTF-8"]);
    if profile == Profile::Ephemeral {
        command.arg("--no-sync");
    }
    run(place, command, "making the cluster (initdb)", "")
}

/// Creates the database with the server in single-user mode, because not every
/// source of server binaries brings a client.
fn create_database(place: &Place, binaries: &Binaries, profile: Profile, scratch: &Path) -> Result<(), EmbeddedError> {
    let mut command = command(&binaries.postgres(), place)?;
    command.arg("--single").arg("-D").arg(scratch);
    for setting in profile.settings() {
        command.arg("-c").arg(setting);
    }
    command.arg("postgres").stdin(Stdio::piped());
    run(place, command, "creating the database", &format!("CREATE DATABASE {DATABASE}\n"))
}

/// Runs a command to its end, within [`INIT_LIMIT`].
fn run(place: &Place, mut command: Command, what: &'static str, input: &str) -> Result<(), EmbeddedError> {
    let from = log_length(place);
    let mut child = command.spawn().map_err(io(what))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(io(what))?;
    }
    let deadline = Instant::now() + INIT_LIMIT;
    loop {
        match child.try_wait().map_err(io(what))? {
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err(failed(place, what, from)),
            None if Instant::now() < deadline => std::thread::sleep(POLL),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                let (seconds, log) = (INIT_LIMIT.as_secs(), place.log_file.clone());
                return Err(EmbeddedError::TimedOut { what, seconds, log });
            }
        }
    }
}

/// How long the log is now: what comes later belongs to what is done next.
pub(super) fn log_length(place: &Place) -> u64 {
    place.log_file.metadata().map_or(0, |meta| meta.len())
}

/// An error that quotes what was logged since the log was `from` bytes long.
pub(super) fn failed(place: &Place, what: &'static str, from: u64) -> EmbeddedError {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(&place.log_file)?;
        let length = file.metadata()?.len();
        let start = length.saturating_sub(WORDS_LIMIT_BYTES.unsigned_abs()).max(from);
        file.seek(SeekFrom::Start(start))?;
        let mut words = Vec::new();
        file.take(WORDS_LIMIT_BYTES.unsigned_abs()).read_to_end(&mut words)?;
        Ok(String::from_utf8_lossy(&words).trim().to_owned())
    };
    let words = read().unwrap_or_else(|error| format!("(the log cannot be read: {error})"));
    EmbeddedError::Failed { what, log: place.log_file.clone(), words }
}

/// What `postmaster.pid` says: the server's process and its state.
pub(super) struct PidFile {
    pub(super) pid: i32,
    pub(super) state: String,
}

impl PidFile {
    pub(super) fn read(data_dir: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(data_dir.join("postmaster.pid")).ok()?;
        let pid = text.lines().next()?.trim().parse().ok()?;
        // The eighth line is written last, when there is a state to tell.
        let state = text.lines().nth(7).unwrap_or("").trim().to_owned();
        Some(Self { pid, state })
    }
}

/// Makes the directory free for a new server: waits for one that is stopping,
/// ends processes that outlived theirs, removes a stale pid file. Refuses when
/// a server is running that is not ours.
pub(super) fn heal(data_dir: &Path) -> Result<(), EmbeddedError> {
    let begun = Instant::now();
    let pid_file = data_dir.join("postmaster.pid");
    while pid_file.exists() {
        let Some(found) = PidFile::read(data_dir) else {
            // Cut short by a crash of the machine: it names no process.
            remove_stale(&pid_file)?;
            break;
        };
        if !is_server_of(found.pid, data_dir) {
            remove_stale(&pid_file)?;
            break;
        }
        let limit = if found.state == "stopping" { STOPPING_LIMIT } else { TAKEOVER_LIMIT };
        if begun.elapsed() > limit {
            return Err(EmbeddedError::AlreadyRunning { dir: data_dir.to_owned(), pid: found.pid });
        }
        std::thread::sleep(POLL);
    }
    end_orphans(data_dir);
    Ok(())
}

fn remove_stale(pid_file: &Path) -> Result<(), EmbeddedError> {
    tracing::warn!(file = %pid_file.display(), "removing a stale pid file; its server is gone");
    match std::fs::remove_file(pid_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io(format!("remove {}", pid_file.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Whether a live process is a Postgres that works in `data_dir`. Process ids
/// are used again, so being alive is not enough; and a zombie has no directory.
fn is_server_of(pid: i32, data_dir: &Path) -> bool {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    if !matches!(name.trim(), "postgres" | "postmaster") {
        return false;
    }
    match process.join("cwd").read_link() {
        Ok(cwd) => cwd == data_dir,
        // Somebody else's Postgres: better to ask than to start a second one.
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    }
}

/// Ends server processes whose parent was killed. They notice by themselves
/// unless busy, and while one lives no new server can start. Killing them is
/// safe: without a parent they can no longer commit to anything but the log,
/// which the next server replays.
fn end_orphans(data_dir: &Path) {
    let deadline = Instant::now() + ORPHAN_LIMIT;
    loop {
        let orphans = orphans(data_dir);
        if orphans.is_empty() {
            return;
        }
        if Instant::now() >= deadline {
            for pid in orphans {
                tracing::warn!(pid, "killing a Postgres process that outlived its server");
                // SAFETY: plain system call; the process was just identified.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            std::thread::sleep(POLL);
            return;
        }
        std::thread::sleep(POLL);
    }
}

fn orphans(data_dir: &Path) -> Vec<i32> {
    let Ok(processes) = Path::new("/proc").read_dir() else { return Vec::new() };
    processes
        .flatten()
        .filter_map(|process| process.file_name().to_string_lossy().parse().ok())
        .filter(|pid| {
            Path::new(&format!("/proc/{pid}/cwd")).read_link().is_ok_and(|cwd| cwd == data_dir)
                && is_server_of(*pid, data_dir)
        })
        .collect()
}
