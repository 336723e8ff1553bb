//! Where a cluster lives, who runs it, and the lock that keeps others out.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{EmbeddedError, io};

/// How long to wait for a process that is just ending to let go of its lock.
const LOCK_WAIT: Duration = Duration::from_secs(3);

/// The server's messages are kept up to this size; then the file is begun anew
/// at the next start, with one older file beside it.
const LOG_LIMIT_BYTES: u64 = 10 * 1024 * 1024;

/// A Unix socket's path may have 107 bytes; the server appends this name.
const SOCKET_PATH_LIMIT: usize = 107;
const SOCKET_NAME: &str = "/.s.PGSQL.5432.lock";

/// Used by root when the wanted place is closed to the server's user.
const FALLBACK: &str = "/var/lib/farebox";

const TEMPORARY_PREFIX: &str = "farebox-test-";

/// The user as which the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether we are somebody else (root) and have to become this user.
    pub(super) switch: bool,
}

impl User {
    /// Ourselves, unless we are root. Root takes the owner of an existing
    /// cluster, so that one made by an ordinary user stays that user's; else
    /// `postgres`, else `nobody`.
    fn for_cluster(data_dir: &Path) -> Self {
        // SAFETY: both calls only read this process's credentials.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        if uid != 0 {
            return Self { uid, gid, switch: false };
        }
        let owner = data_dir.metadata().ok().map(|meta| (meta.uid(), meta.gid()));
        let (uid, gid) = owner
            .filter(|(uid, _)| *uid != 0)
            .or_else(|| account("postgres"))
            .or_else(|| account("nobody"))
            .unwrap_or((65534, 65534));
        Self { uid, gid, switch: true }
    }

    /// Whether this user may pass through `dir` and everything above it. Goes
    /// by mode bits only, which is what closes home directories.
    pub(super) fn may_enter(self, dir: &Path) -> bool {
        !self.switch
            || dir.ancestors().all(|step| {
                step.metadata().is_ok_and(|meta| {
                    let needed = match () {
                        () if meta.uid() == self.uid => 0o100,
                        () if meta.gid() == self.gid => 0o010,
                        () => 0o001,
                    };
                    meta.mode() & needed != 0
                })
            })
    }

    /// Hands `path` to this user; nothing to do when that is us.
    pub(super) fn own(self, path: &Path) -> Result<(), EmbeddedError> {
        if !self.switch {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid)).map_err(io(format!("hand {} to the server's user", path.display())))
    }

    /// Hands `path` and all below it to this user, without following links.
    fn own_all(self, path: &Path) -> Result<(), EmbeddedError> {
        let what = || format!("hand {} to the server's user", path.display());
        std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid)).map_err(io(what()))?;
        if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            for entry in path.read_dir().map_err(io(what()))? {
                self.own_all(&entry.map_err(io(what()))?.path())?;
            }
        }
        Ok(())
    }
}

/// The ids of a local account. Reads the file, because the C library's look-up
/// may load code that does not belong into a statically linked program.
fn account(name: &str) -> Option<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut ids = line.split(':').skip(2);
    Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
}

/// A cluster's directory, made ready and locked for this process.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) data_dir: PathBuf,
    pub(super) socket_dir: PathBuf,
    pub(super) log_file: PathBuf,
    pub(super) user: User,
    /// Held, not read: the kernel lets go of it when this process ends.
    _lock: File,
}

impl Place {
    pub(super) fn prepare(wanted: &Path) -> Result<Self, EmbeddedError> {
        let wanted = std::path::absolute(wanted).map_err(io(format!("find the directory {}", wanted.display())))?;
        let data_dir = reachable(&wanted)?;
        let lock = lock(&data_dir)?;
        let user = User::for_cluster(&data_dir);
        check_owner(&data_dir, user)?;
        let log_file = beside(&data_dir, "log");
        rotate(&log_file);
        let socket_dir = socket_dir(&data_dir, user)?;
        Ok(Self { data_dir, socket_dir, log_file, user, _lock: lock })
    }

    /// Opens the log for appending, for a child to write to.
    pub(super) fn log(&self) -> Result<File, EmbeddedError> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log_file)
            .map_err(io(format!("open {}", self.log_file.display())))
    }

    /// The major version that made the cluster; none when there is no cluster.
    pub(super) fn made_by(&self) -> Option<u32> {
        if !self.data_dir.join("global/pg_control").exists() {
            return None;
        }
        super::binaries::leading_number(std::fs::read_to_string(self.data_dir.join("PG_VERSION")).ok()?.trim())
    }
}

/// `wanted` with its parents made and links resolved; or, where root's server
/// user cannot get there, a place below `/var/lib/farebox` that stands for it.
fn reachable(wanted: &Path) -> Result<PathBuf, EmbeddedError> {
    let wanted = with_parent(wanted)?;
    let user = User::for_cluster(&wanted);
    if !user.switch {
        return Ok(wanted);
    }
    let parent = wanted.parent().unwrap_or(Path::new("/"));
    let substitute = substitute(&wanted);
    // Once there is a cluster in the substitute place it stays in use, even if
    // the wanted one opens up later: an empty database would look like a loss.
    let moved = substitute.join("PG_VERSION").exists() && !wanted.join("PG_VERSION").exists();
    if user.may_enter(parent) && !moved {
        return Ok(wanted);
    }
    let refusal = EmbeddedError::NotReachable { dir: wanted.clone(), uid: user.uid };
    if wanted.join("PG_VERSION").exists() {
        return Err(refusal);
    }
    let Ok(substitute) = with_parent(&substitute) else { return Err(refusal) };
    let home = substitute.parent().unwrap_or(Path::new(FALLBACK));
    for dir in [Path::new(FALLBACK), home] {
        // Root's umask may have closed what was just made.
        let _ = std::fs::set_permissions(dir, Permissions::from_mode(0o755));
    }
    if !User::for_cluster(&substitute).may_enter(home) {
        return Err(refusal);
    }
    let _ = std::fs::write(home.join("stands-for"), format!("{}\n", wanted.display()));
    tracing::info!(
        wanted = %wanted.display(), used = %substitute.display(),
        "the database lives elsewhere, because its user may not enter the wanted directory"
    );
    Ok(substitute)
}

/// The place that stands for one that root's server user cannot reach.
fn substitute(wanted: &Path) -> PathBuf {
    let id = format!("{:016x}", fnv1a(wanted.as_os_str().as_encoded_bytes()));
    Path::new(FALLBACK).join(id).join("postgres")
}

/// Whether there is a cluster already. One that may not be looked at counts: whoever starts it hears why.
pub(super) fn is_there(wanted: &Path) -> bool {
    let has = |dir: &Path| dir.join("PG_VERSION").try_exists().unwrap_or(true);
    let Ok(wanted) = std::path::absolute(wanted) else { return false };
    // As `with_parent` does, but for making what is missing.
    let parent = wanted.parent().and_then(|parent| parent.canonicalize().ok());
    let wanted = parent.map_or(wanted.clone(), |parent| parent.join(wanted.file_name().unwrap_or("postgres".as_ref())));
    let wanted = wanted.canonicalize().unwrap_or(wanted);
    has(&wanted) || has(&substitute(&wanted))
}

/// Makes the parent of `dir` and returns `dir` without links in its parents,
/// which is how the kernel reports it for the server's processes.
fn with_parent(dir: &Path) -> Result<PathBuf, EmbeddedError> {
    let parent = dir.parent().unwrap_or(Path::new("/"));
    let make = || std::fs::create_dir_all(parent).and_then(|()| parent.canonicalize());
    let parent = make().map_err(io(format!("make the directory {}", parent.display())))?;
    let dir = parent.join(dir.file_name().unwrap_or("postgres".as_ref()));
    Ok(dir.canonicalize().unwrap_or(dir))
}

/// Takes the lock that says which process uses the cluster. A lock whose
/// process is gone frees itself, so there are no stale ones to clear up.
fn lock(data_dir: &Path) -> Result<File, EmbeddedError> {
    let path = beside(data_dir, "lock");
    let what = format!("lock {}", path.display());
    let mut file =
        OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&path).map_err(io(what.clone()))?;
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(io(what)(error)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim().to_owned();
                return Err(EmbeddedError::Locked { dir: data_dir.to_owned(), holder });
            }
        }
    }
    let note = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    note(&mut file).map_err(io(what))?;
    Ok(file)
}

/// Postgres refuses a cluster that is not its user's. Root may mend that.
fn check_owner(data_dir: &Path, user: User) -> Result<(), EmbeddedError> {
    let Ok(meta) = data_dir.metadata() else { return Ok(()) };
    match meta.uid() {
        owner if owner == user.uid => Ok(()),
        owner if !user.switch => Err(EmbeddedError::ForeignOwner { dir: data_dir.to_owned(), owner, me: user.uid }),
        // Only a directory that looks like a cluster is worth handing over, such
        // as one that root has restored from a backup.
        _ if data_dir.join("PG_VERSION").exists() => user.own_all(data_dir),
        _ => Ok(()),
    }
}

/// A directory for the socket, beside the data or, where that path is too
/// long, below `/tmp`. Nobody else may own or enter it.
fn socket_dir(data_dir: &Path, user: User) -> Result<PathBuf, EmbeddedError> {
    let near = beside(data_dir, "sock");
    let dir = if near.as_os_str().len() + SOCKET_NAME.len() <= SOCKET_PATH_LIMIT {
        near
    } else {
        let id = fnv1a(data_dir.as_os_str().as_encoded_bytes());
        PathBuf::from(format!("/tmp/farebox-{}-{id:016x}", user.uid))
    };
    let what = || format!("make the socket directory {}", dir.display());
    match std::fs::create_dir(&dir) {
        Ok(()) => user.own(&dir)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(what())(error)),
    }
    // Not following links: in /tmp somebody else may have been there first.
    let meta = dir.symlink_metadata().map_err(io(what()))?;
    if !meta.is_dir() || meta.uid() != user.uid {
        // Left by a run under another user; ours to replace if it is empty.
        std::fs::remove_dir(&dir).map_err(io(what()))?;
        std::fs::create_dir(&dir).map_err(io(what()))?;
        user.own(&dir)?;
    }
    std::fs::set_permissions(&dir, Permissions::from_mode(0o700)).map_err(io(what()))?;
    Ok(dir)
}

/// `<data_dir>.<extension>`: what belongs to a cluster but must outlive it.
pub(super) fn beside(data_dir: &Path, extension: &str) -> PathBuf {
    let mut name = data_dir.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

/// Keeps the log from growing for ever. Failing to is no reason not to start.
fn rotate(log_file: &Path) {
    if log_file.metadata().is_ok_and(|meta| meta.len() > LOG_LIMIT_BYTES) {
        let _ = std::fs::rename(log_file, log_file.with_extension("log.1"));
    }
}

/// A hash that stays the same in every build, for naming directories.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The directory of the `number`th temporary cluster of process `pid`.
pub(super) fn temporary_root(pid: u32, number: u32) -> PathBuf {
    std::env::temp_dir().join(format!("{TEMPORARY_PREFIX}{pid}-{number}"))
}

/// Removes the whole of a temporary cluster; leaves any other alone.
pub(super) fn remove_temporary(data_dir: &Path) {
    let Some(root) = data_dir.parent() else { return };
    let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.starts_with(&format!("{TEMPORARY_PREFIX}{}-", std::process::id())) {
        let _ = std::fs::remove_dir_all(root);
    }
}

/// Removes temporary clusters whose process is gone.
pub(super) fn sweep_temporary() {
    let Ok(entries) = std::env::temp_dir().read_dir() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(TEMPORARY_PREFIX).and_then(|rest| rest.split('-').next());
        let Some(pid) = pid.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if !Path::new("/proc").join(pid.to_string()).exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
