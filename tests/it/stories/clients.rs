//! The official clients of OpenAI, unchanged, with nothing but the base URL and the key set.

use std::process::{Command, Output};

use crate::support::Farebox;
use crate::support::clients::{installed, root};

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
