//! The official clients of OpenAI, unchanged, with nothing but the base URL and the key set.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::Farebox;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where `script/bootstrap test` installs the clients.
#[expect(clippy::disallowed_methods, reason = "where cargo builds, not a setting of the program")]
fn installed(path: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir));
    let place = target.join("clients").join(path);
    assert!(place.exists(), "{} is not installed: run script/bootstrap test", place.display());
    place
}

async fn passes(mut command: Command) {
    let farebox = Farebox::start().await;
    let rich = farebox.key("rich@example.com", "10", &[]).await;
    let poor = farebox.key("poor@example.com", "", &[]).await;
    command
        .env("FAREBOX_BASE_URL", farebox.url("/api/v1"))
        .env("FAREBOX_API_KEY", &rich.text)
        .env("FAREBOX_POOR_KEY", &poor.text)
        .current_dir(root());
    let ran = tokio::task::spawn_blocking(move || command.output());
    let limit = std::time::Duration::from_secs(180);
    let ran = tokio::time::timeout(limit, ran).await.expect("the client ends in time").expect("a thread");
    let Output { status, stdout, stderr } = ran.expect("the client starts");
    let words = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{words}\n{}", farebox.log());
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_works_unchanged() {
    let mut command = Command::new(installed("py/bin/python"));
    command.arg("tests/clients/openai_py_test.py");
    passes(command).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_client_works_unchanged() {
    let modules = installed("node/node_modules/openai");
    let mut command = Command::new("node");
    command.arg("tests/clients/openai_node_test.mjs");
    command.env("FAREBOX_NODE_MODULES", modules.parent().expect("a parent"));
    passes(command).await;
}
