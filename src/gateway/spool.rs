//! The spool: settlements on disk for the time that the database is away.
//!
//! What is always true here:
//! - [`Spool::append`] returns only after the bytes are on disk (`fdatasync`, and `fsync` of the folder for a new file).
//! - A line is one settlement with a checksum before it. A line that a crash tore was never acknowledged, so it may
//!   be dropped; a whole line that is damaged is kept aside for the operator.
//! - A file belongs to the process that holds its lock. Files of processes that died have no holder: whoever locks
//!   one replays it and deletes it. Every process on the machine may use the same folder.
//! - Replaying twice is harmless: the settlement of a call that is settled changes nothing.

mod dead;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::base::secret::random_bytes;

pub use dead::{Dead, Revived, dead, revive};

/// Bytes on disk from which on new calls are refused. Running calls may still be spooled beyond it.
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// A file is closed and the next one begun at this size.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// Appends that may wait for the disk at once; beyond it they fail.
const MAX_WAITING: usize = 8_192;
/// Appends that share one `fdatasync`.
const MAX_GROUP: usize = 1_024;
/// Tries to make a file under a fresh name before giving up.
const MAX_NAME_TRIES: u32 = 8;
/// Foreign files looked at in one round.
const MAX_ADOPTED: usize = 64;
/// Random bytes in the name of a file.
const NAME_BYTES: usize = 8;
const SUFFIX: &str = "jsonl";
/// Checksum in hex, then a space.
const PREFIX_BYTES: usize = 9;

/// The way to the spool; cheap to clone.
#[derive(Clone)]
pub struct Spool {
    shared: Arc<Shared>,
    writer: SyncSender<Append>,
}

struct Shared {
    dir: PathBuf,
    max_bytes: u64,
    state: Mutex<State>,
    /// Bytes of files that this process owns or adopted.
    bytes: AtomicU64,
    /// Settlements that wait to be replayed.
    depth: AtomicU64,
}

#[derive(Default)]
struct State {
    /// The file that appends go to.
    active: Option<Segment>,
    /// Files that wait to be replayed.
    sealed: Vec<Arc<Segment>>,
}

/// A file whose lock this process holds for as long as the value lives.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: File,
    bytes: u64,
    lines: u64,
}

struct Append {
    lines: Vec<String>,
    done: oneshot::Sender<io::Result<()>>,
}

/// A closed file to replay.
#[derive(Clone)]
pub struct Sealed(Arc<Segment>);

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The JSON of each whole line.
    pub lines: Vec<String>,
    /// Whole lines whose checksum is wrong. They may have been acknowledged, so they are not thrown away.
    pub damaged: Vec<String>,
    /// The last line was cut off by a crash, before it was acknowledged.
    pub torn: bool,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool").field("dir", &self.shared.dir).field("depth", &self.depth()).finish_non_exhaustive()
    }
}

impl Spool {
    /// Opens the spool in `<data_dir>/spool` and starts its writer. Adopts what dead processes left there.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(data_dir: &Path) -> io::Result<Spool> {
        Spool::open_with(data_dir, MAX_BYTES)
    }

    /// The same with another limit on the bytes from which on [`Spool::is_full`].
    ///
    /// # Errors
    /// As for [`Spool::open`].
    pub fn open_with(data_dir: &Path, max_bytes: u64) -> io::Result<Spool> {
        let dir = data_dir.join("spool");
        fs::create_dir_all(dir.join("dead"))?;
        sync_dir(data_dir)?;
        let shared = Arc::new(Shared {
            dir,
            max_bytes,
            state: Mutex::default(),
            bytes: AtomicU64::new(0),
            depth: AtomicU64::new(0),
        });
        shared.adopt()?;
        let (writer, appends) = sync_channel(MAX_WAITING);
        let writing = Arc::clone(&shared);
        // The disk may take long; a thread of its own keeps it away from the calls. It ends with the last clone.
        std::thread::Builder::new().name("spool".into()).spawn(move || write_all(&writing, &appends))?;
        Ok(Spool { shared, writer })
    }

    /// Puts settlements on disk. When it returns, they survive `kill -9` and a power cut.
    ///
    /// # Errors
    /// When the disk fails or too many appends wait; then none of them counts as kept.
    pub async fn append(&self, json: Vec<String>) -> io::Result<()> {
        let (done, kept) = oneshot::channel();
        self.writer.try_send(Append { lines: json, done }).map_err(|refused| match refused {
            TrySendError::Full(_) => io::Error::other("too many settlements wait for the disk"),
            TrySendError::Disconnected(_) => io::Error::other("the spool's writer has stopped"),
        })?;
        kept.await.map_err(|_| io::Error::other("the spool's writer has stopped"))?
    }

    /// Whether new calls must be refused, because their settlements might find no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shared.bytes.load(Ordering::Relaxed) >= self.shared.max_bytes
    }

    /// Settlements of this process and of adopted files that are not in the database yet.
    #[must_use]
    pub fn depth(&self) -> u64 {
        self.shared.depth.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.depth() == 0 && self.shared.bytes.load(Ordering::Relaxed) == 0
    }

    /// Closes the running file, adopts files of dead processes, and returns everything that waits to be replayed.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn seal(&self) -> io::Result<Vec<Sealed>> {
        self.shared.adopt()?;
        let mut state = self.shared.lock();
        if let Some(active) = state.active.take() {
            state.sealed.push(Arc::new(active));
        }
        Ok(state.sealed.iter().cloned().map(Sealed).collect())
    }

    /// Deletes a file after all of it was replayed, and gives up its lock. Blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be deleted, or a crash might bring it back; it will be replayed once more, which changes nothing.
    pub fn forget(&self, sealed: &Sealed) -> io::Result<()> {
        match fs::remove_file(&sealed.0.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // What is deleted cannot be read again, whether the disk has heard of it or not.
        let forgotten = {
            let mut state = self.shared.lock();
            let before = state.sealed.len();
            state.sealed.retain(|segment| segment.path != sealed.0.path);
            before - state.sealed.len()
        };
        if forgotten > 0 {
            self.shared.bytes.fetch_sub(sealed.0.bytes, Ordering::Relaxed);
            self.shared.depth.fetch_sub(sealed.0.lines, Ordering::Relaxed);
        }
        sync_dir(&self.shared.dir)
    }

    /// Keeps lines aside that can never be replayed, for the operator. Blocks on the disk.
    ///
    /// # Errors
    /// When the disk fails; the lines then stay where they are.
    pub fn bury(&self, sealed: &Sealed, lines: &[String]) -> io::Result<()> {
        let name = sealed.0.path.file_name().unwrap_or_default();
        let grave = self.shared.dir.join("dead");
        let mut file = OpenOptions::new().create(true).append(true).open(grave.join(name))?;
        for line in lines {
            writeln!(file, "{line}")?;
        }
        file.sync_all()?;
        sync_dir(&grave)
    }
}

impl Sealed {
    /// Reads the file. Blocks on the disk.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self) -> io::Result<Contents> {
        Ok(parse(&fs::read(&self.0.path)?))
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of the writer leaves at worst a torn line behind, which reading passes over.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over files that no living process holds.
    fn adopt(&self) -> io::Result<()> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == SUFFIX) {
                found.push(path);
            }
        }
        found.sort();
        let mut state = self.lock();
        for path in found.into_iter().take(MAX_ADOPTED) {
            // One's own files are locked too, by another handle, so they are not found here.
            let Some(segment) = lock_file(path)? else { continue };
            tracing::warn!(file = %segment.path.display(), lines = segment.lines, "a spool file of a dead process is taken over");
            self.bytes.fetch_add(segment.bytes, Ordering::Relaxed);
            self.depth.fetch_add(segment.lines, Ordering::Relaxed);
            state.sealed.push(Arc::new(segment));
        }
        Ok(())
    }

    fn write_group(&self, group: &[Append]) -> io::Result<()> {
        let lines: Vec<&String> = group.iter().flat_map(|append| &append.lines).collect();
        let text: String = lines.iter().map(|json| line_of(json)).collect();
        let (bytes, count) = (text.len() as u64, lines.len() as u64);
        let mut state = self.lock();
        if state.active.as_ref().is_some_and(|active| active.bytes >= SEGMENT_BYTES)
            && let Some(full) = state.active.take()
        {
            state.sealed.push(Arc::new(full));
        }
        let mut active = match state.active.take() {
            Some(active) => active,
            None => self.create()?,
        };
        let written = active.file.write_all(text.as_bytes()).and_then(|()| active.file.sync_data());
        if let Err(error) = written {
            // What the file holds now is unknown, so nothing more is written to it. Lines that made it to the disk
            // are replayed although their callers were told that they are not kept: that is harmless.
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            active.bytes += bytes;
            state.sealed.push(Arc::new(active));
            return Err(error);
        }
        active.bytes += bytes;
        active.lines += count;
        state.active = Some(active);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.depth.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    fn create(&self) -> io::Result<Segment> {
        for _ in 0..MAX_NAME_TRIES {
            let path = self.dir.join(format!("{}.{SUFFIX}", fresh_name()));
            let file = OpenOptions::new().create_new(true).append(true).read(true).open(&path)?;
            // Another process may have found the empty file before it was locked, and deleted it.
            if file.try_lock().is_ok() && file.metadata()?.nlink() > 0 {
                sync_dir(&self.dir)?;
                return Ok(Segment { path, file, bytes: 0, lines: 0 });
            }
        }
        Err(io::Error::other("no file of our own could be made in the spool"))
    }
}

/// No other process has it, on this machine or on another that shares the folder.
fn fresh_name() -> String {
    let random = random_bytes();
    format!("{}-{}", std::process::id(), hex::encode(&random[..NAME_BYTES]))
}

/// Locks a file that nobody holds; `None` when somebody does or it is gone.
fn lock_file(path: PathBuf) -> io::Result<Option<Segment>> {
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.try_lock().is_err() || file.metadata()?.nlink() == 0 {
        return Ok(None);
    }
    let bytes = file.metadata()?.len();
    let lines = parse(&fs::read(&path)?).lines.len() as u64;
    Ok(Some(Segment { path, file, bytes, lines }))
}

/// The writer: what waits together is written and synced together.
fn write_all(shared: &Shared, appends: &Receiver<Append>) {
    while let Ok(first) = appends.recv() {
        let mut group = vec![first];
        while group.len() < MAX_GROUP {
            match appends.try_recv() {
                Ok(next) => group.push(next),
                Err(_) => break,
            }
        }
        let written = shared.write_group(&group);
        if let Err(error) = &written {
            tracing::error!(%error, "settlements could not be spooled");
        }
        for append in group {
            let result = match &written {
                Ok(()) => Ok(()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            // A caller that left has nothing to learn; its settlement is kept all the same.
            append.done.send(result).ok();
        }
    }
}

/// A new file, or the end of one, is only safe once its folder is on disk.
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn line_of(json: &str) -> String {
    format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()))
}

fn parse(bytes: &[u8]) -> Contents {
    let mut contents = Contents::default();
    let (whole, rest) = match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => bytes.split_at(end),
        None => (&bytes[..0], bytes),
    };
    contents.torn = !rest.trim_ascii().is_empty();
    let lines = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    for line in lines {
        match checked(line) {
            Some(json) => contents.lines.push(json),
            None => contents.damaged.push(String::from_utf8_lossy(line).into_owned()),
        }
    }
    contents
}

fn checked(line: &[u8]) -> Option<String> {
    let (sum, json) = line.split_at_checked(PREFIX_BYTES)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?.strip_suffix(' ')?, 16).ok()?;
    (crc32fast::hash(json) == sum).then(|| String::from_utf8(json.to_vec()).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(number: u32) -> String {
        format!(r#"{{"call":{number}}}"#)
    }

    fn read_all(spool: &Spool) -> Vec<String> {
        let sealed = spool.seal().expect("the folder is there");
        sealed.iter().flat_map(|one| one.read().expect("the file is there").lines).collect()
    }

    #[tokio::test]
    async fn what_was_appended_is_there_for_the_next_process() {
        let dir = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(dir.path()).expect("a spool");
        spool.append(vec![json(1), json(2)]).await.expect("kept");
        spool.append(vec![json(3)]).await.expect("kept");
        assert_eq!(spool.depth(), 3);

        let other = Spool::open(dir.path()).expect("a second process");
        assert!(other.is_empty(), "the file of a living process is left alone");
        drop(spool);
        // The writer's thread gives up its lock a moment after the last clone is gone.
        for _ in 0..100 {
            if !read_all(&other).is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert_eq!(read_all(&other), [json(1), json(2), json(3)]);
        assert_eq!(other.depth(), 3);
    }

    #[tokio::test]
    async fn a_replayed_file_is_gone_and_later_lines_are_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(dir.path()).expect("a spool");
        spool.append(vec![json(1)]).await.expect("kept");
        let sealed = spool.seal().expect("sealed");
        spool.append(vec![json(2)]).await.expect("kept in a new file");
        spool.forget(&sealed[0]).expect("deleted");
        assert_eq!(read_all(&spool), [json(2)]);
        let sealed = spool.seal().expect("sealed");
        // Deleted before, by a turn that failed behind it.
        fs::remove_file(&sealed[0].0.path).expect("deleted");
        for _ in 0..2 {
            spool.forget(&sealed[0]).expect("it is gone, which is what was wanted");
        }
        assert_eq!((spool.is_empty(), spool.depth()), (true, 0));
        assert_eq!(fs::read_dir(dir.path().join("spool")).expect("a folder").count(), 1, "only the folder of the dead");
    }

    #[tokio::test]
    async fn appends_that_wait_together_are_all_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(dir.path()).expect("a spool");
        let appends = (0..200).map(|number| spool.append(vec![json(number)]));
        let kept = futures_util::future::join_all(appends).await;
        assert!(kept.iter().all(Result::is_ok));
        assert_eq!(read_all(&spool).len(), 200);
    }

    #[tokio::test]
    async fn a_full_spool_says_so_and_still_takes_running_calls() {
        let dir = tempfile::tempdir().expect("a folder");
        let spool = Spool::open_with(dir.path(), 30).expect("a spool");
        assert!(!spool.is_full());
        spool.append(vec![json(1), json(2)]).await.expect("kept");
        assert!(spool.is_full());
        spool.append(vec![json(3)]).await.expect("kept beyond the limit");
        for sealed in spool.seal().expect("sealed") {
            spool.forget(&sealed).expect("deleted");
        }
        assert!(!spool.is_full());
    }

    #[test]
    fn a_torn_line_is_dropped_wherever_the_crash_cut_it() {
        let whole = format!("{}{}", line_of(&json(1)), line_of(&json(2)));
        for cut in 0..whole.len() {
            let contents = parse(&whole.as_bytes()[..cut]);
            let complete = usize::from(cut >= line_of(&json(1)).len());
            assert_eq!(contents.lines.len(), complete, "cut at {cut}");
            assert!(contents.damaged.is_empty());
            assert_eq!(contents.torn, cut != 0 && cut != line_of(&json(1)).len(), "cut at {cut}");
        }
        assert_eq!(parse(whole.as_bytes()).lines.len(), 2);
    }

    #[test]
    fn a_damaged_line_does_not_hide_those_that_follow() {
        let text = format!("{}00000000 {}\n{}", line_of(&json(1)), json(2), line_of(&json(3)));
        let contents = parse(text.as_bytes());
        assert_eq!(contents.lines, [json(1), json(3)]);
        assert_eq!(contents.damaged.len(), 1);
        assert!(!contents.torn);
    }
}
