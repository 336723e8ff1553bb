//! The data directory: whether it can be written, how much room it has, and what waits in the spool.

use std::ffi::CString;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Finding, Patient};
use crate::gateway::spool;

/// Below this nothing more may fit that must not be lost: the spool alone may take so much.
const LEAST: u64 = spool::MAX_BYTES;
const LITTLE: u64 = 4 * LEAST;
/// Files of the spool that are counted.
const MAX_COUNTED: usize = 10_000;

pub async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let dir = patient.config.data_dir.clone();
    tokio::task::spawn_blocking(move || look(&dir)).await.unwrap_or_default()
}

fn look(dir: &Path) -> Vec<Finding> {
    let shown = dir.display().to_string();
    let mut findings = Vec::new();
    match writable(dir) {
        Ok(()) => findings.push(Finding::ok("data directory", format!("{shown} can be written"))),
        Err(error) => {
            let advice = "make the directory of FAREBOX_DATA_DIR, owned by the user that the server runs as";
            return vec![Finding::fault("data directory", format!("{shown} cannot be written: {error}"), advice)];
        }
    }
    if let Some(free) = free_bytes(dir) {
        let found = format!("{} free in {shown}", size(free));
        let advice = "make room: settlements are kept there while the database is away";
        findings.push(match free {
            free if free < LEAST => Finding::fault("room", found, advice),
            free if free < LITTLE => Finding::warning("room", found, advice),
            _ => Finding::ok("room", found),
        });
    }
    let key = dir.join("secret_key");
    if let Ok(about) = std::fs::metadata(&key) {
        let others = about.permissions().mode() & 0o077;
        if others != 0 {
            let found = format!("{} can be read by others", key.display());
            findings.push(Finding::fault("secret key's file", found, format!("chmod 600 {}", key.display())));
        }
    }
    let files = count(&dir.join("spool"));
    findings.push(if files == 0 {
        Finding::ok("spool", "empty")
    } else {
        let found = format!("{files} files of settlements; a running server has one while the database is away");
        Finding::warning("spool", found, "if no server of this directory runs, start one: it books them")
    });
    match spool::dead(dir) {
        Ok(dead) => {
            let lines: usize = dead.iter().map(|file| file.lines.len()).sum();
            if lines > 0 {
                let found = format!("{lines} settlements were put aside");
                findings.push(Finding::fault(
                    "dead settlements",
                    found,
                    "farebox ledger dead, then farebox ledger respool",
                ));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            findings.push(Finding::warning("dead settlements", error.to_string(), "look at the spool's folder"))
        }
    }
    findings
}

fn writable(dir: &Path) -> std::io::Result<()> {
    let mut file = tempfile::tempfile_in(dir)?;
    file.write_all(b"farebox doctor")?;
    file.sync_all()
}

fn count(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.take(MAX_COUNTED).flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).count()
}

/// Bytes that this user may still write.
fn free_bytes(dir: &Path) -> Option<u64> {
    let path = CString::new(dir.as_os_str().as_bytes()).ok()?;
    let mut about = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with a zero, and the structure is only read where the call says that it has filled it.
    let about = unsafe {
        if libc::statvfs(path.as_ptr(), about.as_mut_ptr()) != 0 {
            return None;
        }
        about.assume_init()
    };
    Some(about.f_bavail * about.f_frsize)
}

/// A number of bytes, for people.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut unit) = (bytes, 0);
    while whole >= 10 * 1_024 && unit + 1 < UNITS.len() {
        whole /= 1_024;
        unit += 1;
    }
    format!("{whole} {}", UNITS.get(unit).unwrap_or(&"bytes"))
}
