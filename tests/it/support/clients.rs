//! Where the official clients are, which `script/bootstrap test` installs.

use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[expect(clippy::disallowed_methods, reason = "where cargo builds, not a setting of the program")]
pub fn installed(path: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir));
    let place = target.join("clients").join(path);
    assert!(place.exists(), "{} is not installed: run script/bootstrap test", place.display());
    place
}
