//! What a person sees and does in a real browser.

mod axe;
mod chat;
mod chromium;
mod comfort;
mod console;
mod elsewhere;
mod failures;
mod fresh;
mod hooks;
mod keys;
mod lists;
mod money;
mod overflow;
mod own;
mod pages;
mod presets;
mod programs;
mod security;
mod teams;
mod town;
mod walk;

use std::path::{Path, PathBuf};

use chromium::Browser;

/// Where cargo builds, and where `script/bootstrap test` puts what the tests need.
#[expect(clippy::disallowed_methods, reason = "where cargo builds, not a setting of the program")]
fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}
