//! Settlements that could not be written, and the way back for them.
//!
//! A line is put aside when the database refuses what it says, or when it says nothing that this version understands. After
//! the cause is mended, or with a newer version, it is put back: into a new file of the spool, which the running server
//! takes over like one of a dead process.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{SUFFIX, fresh_name, line_of, sync_dir};

/// Files that are put back, while that goes on. One that a kill left behind is gone on with.
const BUSY: &str = "reviving";
/// Files looked at in one run.
const MAX_FILES: usize = 10_000;

/// Lines that were put aside together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dead {
    pub path: PathBuf,
    pub lines: Vec<String>,
}

/// What was put back.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Revived {
    pub back: usize,
    /// Lines that are no settlement: they stay where they are.
    pub left: usize,
}

fn grave(data_dir: &Path) -> PathBuf {
    data_dir.join("spool").join("dead")
}

/// What lies aside, file by file. Blocks on the disk.
///
/// # Errors
/// When the folder cannot be read.
pub fn dead(data_dir: &Path) -> io::Result<Vec<Dead>> {
    let mut found = Vec::new();
    let folder = match fs::read_dir(grave(data_dir)) {
        Ok(folder) => folder,
        // No server ran here yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in folder.take(MAX_FILES) {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == SUFFIX || extension == BUSY) {
            let text = fs::read_to_string(&path)?;
            let lines = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
            found.push(Dead { path, lines });
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Puts back what is a settlement. Killed in the middle it has put back some lines twice at most, and a settlement that is
/// written twice changes nothing. Blocks on the disk.
///
/// # Errors
/// When the disk fails; what is not put back then is still aside.
pub fn revive(data_dir: &Path, is_settlement: impl Fn(&str) -> bool) -> io::Result<Revived> {
    let mut revived = Revived::default();
    for file in dead(data_dir)? {
        // Out of the way of a server that puts further lines aside under the same name.
        let busy = file.path.with_extension(BUSY);
        if busy != file.path {
            if busy.exists() {
                continue;
            }
            fs::rename(&file.path, &busy)?;
        }
        let text = fs::read_to_string(&busy)?;
        let (good, bad): (Vec<&str>, Vec<&str>) =
            text.lines().filter(|line| !line.trim().is_empty()).partition(|line| is_settlement(line));
        if !good.is_empty() {
            put_back(&data_dir.join("spool"), &good)?;
        }
        if !bad.is_empty() {
            // Under a name of its own, for the first may be taken again.
            write_whole(&grave(data_dir), SUFFIX, &format!("{}\n", bad.join("\n")))?;
        }
        fs::remove_file(&busy)?;
        sync_dir(&grave(data_dir))?;
        revived.back += good.len();
        revived.left += bad.len();
    }
    Ok(revived)
}

fn put_back(spool: &Path, lines: &[&str]) -> io::Result<()> {
    let text: String = lines.iter().map(|line| line_of(line)).collect();
    write_whole(spool, SUFFIX, &text)
}

/// A file that appears with all that is in it, or not at all.
fn write_whole(folder: &Path, extension: &str, text: &str) -> io::Result<()> {
    let name = fresh_name();
    let half = folder.join(format!("{name}.half"));
    let mut file = File::create_new(&half)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&half, folder.join(format!("{name}.{extension}")))?;
    sync_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::super::Spool;
    use super::*;

    fn is_json(line: &str) -> bool {
        serde_json::from_str::<serde_json::Value>(line).is_ok()
    }

    #[tokio::test]
    async fn what_is_put_back_is_taken_over_and_the_rest_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(dir.path()).expect("a spool");
        spool.append(vec!["{}".into()]).await.expect("kept");
        let sealed = spool.seal().expect("sealed");
        spool.bury(&sealed[0], &[r#"{"call":1}"#.into(), "00000000 torn".into()]).expect("put aside");
        spool.forget(&sealed[0]).expect("deleted");
        assert!(spool.is_empty());

        assert_eq!(revive(dir.path(), is_json).expect("put back"), Revived { back: 1, left: 1 });
        let sealed = spool.seal().expect("taken over");
        assert_eq!(sealed[0].read().expect("a file").lines, [r#"{"call":1}"#]);
        let left = dead(dir.path()).expect("a folder");
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].lines, ["00000000 torn"]);
        // Again it finds nothing more to put back.
        assert_eq!(revive(dir.path(), is_json).expect("nothing"), Revived { back: 0, left: 1 });
    }

    #[test]
    fn a_run_that_was_killed_is_gone_on_with() {
        let dir = tempfile::tempdir().expect("a folder");
        drop(Spool::open(dir.path()).expect("a spool"));
        fs::write(grave(dir.path()).join("1-a.reviving"), "{\"call\":1}\n").expect("left behind");
        assert_eq!(revive(dir.path(), is_json).expect("put back"), Revived { back: 1, left: 0 });
        assert!(dead(dir.path()).expect("a folder").is_empty());
        assert_eq!(dead(&dir.path().join("nowhere")).expect("no folder"), []);
    }
}
