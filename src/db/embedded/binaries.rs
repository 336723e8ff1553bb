//! Finding a Postgres server that is already on the machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::EmbeddedError;
use super::place::User;

/// The oldest major version whose SQL we keep to.
pub(super) const OLDEST_MAJOR: u32 = 15;

/// Where Debian and Ubuntu put one directory for each major version.
const SYSTEM: &str = "/usr/lib/postgresql";

/// Where `script/bootstrap` unpacks servers when it runs as root.
const ROOT_CACHE: &str = "/var/cache/farebox/pg";

/// A directory with `postgres` and `initdb` of one version.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    dir: PathBuf,
    major: u32,
}

impl Binaries {
    /// The best server that `user` may run: of exactly the version `made_by`
    /// when there is a cluster already, else the first one that is new enough.
    pub(super) fn find(user: User, data_dir: &Path, made_by: Option<u32>) -> Result<Self, EmbeddedError> {
        let found: Vec<Self> = candidates()
            .into_iter()
            .filter(|dir| dir.join("postgres").is_file() && user.may_enter(dir))
            .filter_map(|dir| Some(Self { major: major_of(&dir)?, dir }))
            .filter(|found| found.major >= OLDEST_MAJOR)
            .collect();
        let list = found.iter().map(|one| one.major.to_string()).collect::<Vec<_>>().join(", ");
        let best = found.into_iter().find(|one| made_by.is_none_or(|major| one.major == major));
        match (best, made_by) {
            (Some(best), _) => Ok(best),
            (None, Some(made_by)) if !list.is_empty() => {
                Err(EmbeddedError::WrongVersion { dir: data_dir.to_owned(), made_by, found: list })
            }
            (None, _) => Err(EmbeddedError::NoBinaries),
        }
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.dir.join("initdb")
    }
}

/// Every directory worth a look, best first.
fn candidates() -> Vec<PathBuf> {
    if let Some(named) = environment("FAREBOX_PG_BIN") {
        return vec![PathBuf::from(named)];
    }
    let user_cache = environment("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(environment("HOME")?).join(".cache")))
        .map(|cache| cache.join("farebox/pg"));
    let path = environment("PATH").unwrap_or_default();
    let mut dirs = newest_first(Path::new(SYSTEM));
    dirs.extend(user_cache.iter().flat_map(|cache| newest_first(cache)));
    dirs.extend(newest_first(Path::new(ROOT_CACHE)));
    dirs.extend(std::env::split_paths(&path));
    dirs
}

#[allow(clippy::disallowed_methods, reason = "the search must work before there is a configuration")]
fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The `bin` directories of `base/<version>/`, highest version first.
fn newest_first(base: &Path) -> Vec<PathBuf> {
    let Ok(entries) = base.read_dir() else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .map(|entry| {
            let name = entry.file_name();
            (leading_number(&name.to_string_lossy()).unwrap_or(0), entry.path().join("bin"))
        })
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, dir)| dir).collect()
}

/// Asks for the version, which also shows that the programs find their
/// libraries. `initdb` needs more of those than the server does.
fn major_of(dir: &Path) -> Option<u32> {
    let output = Command::new(dir.join("initdb")).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    leading_number(text.split_whitespace().nth(2)?)
}

/// The number that a version such as `15.3` or `19beta1` starts with.
pub(super) fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}
