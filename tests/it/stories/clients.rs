//! The official clients of OpenAI, OpenRouter and Anthropic, and frameworks that people call them with, unchanged, with nothing but the base URL and the key set; and a program
//! that reads our document and sends whatever it allows and forbids.

use std::path::Path;
use std::process::{Command, Output};

use super::management::provisioning;
use crate::support::clients::{installed, root};
use crate::support::{Farebox, Options, scale};

async fn passes(mut command: Command) {
    let farebox = Farebox::start().await;
    let rich = farebox.key("rich@example.com", "10", &[]).await;
    let manager = provisioning(&farebox, "rich@example.com", "", &[]).await;
    let poor = farebox.key("poor@example.com", "", &[]).await;
    command
        .env("FAREBOX_BASE_URL", farebox.url("/api/v1"))
        .env("FAREBOX_API_KEY", &rich.text)
        .env("FAREBOX_PROVISIONING_KEY", &manager.text)
        .env("FAREBOX_POOR_KEY", &poor.text);
    ends_well(command, &farebox, 180).await;
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

/// Runs a program of the tests, for so many seconds at most.
async fn ends_well(mut command: Command, farebox: &Farebox, seconds: u64) {
    command.current_dir(root());
    let ran = tokio::task::spawn_blocking(move || command.output());
    let limit = std::time::Duration::from_secs(seconds);
    let ran = tokio::time::timeout(limit, ran).await.expect("the client ends in time").expect("a thread");
    let Output { status, stdout, stderr } = ran.expect("the client starts");
    let words = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{words}\n{}", farebox.log());
}

fn python(script: &str) -> Command {
    let mut command = Command::new(installed("py/bin/python"));
    command.arg(script);
    command
}

fn node(script: &str, library: &str) -> Command {
    installed(&format!("node/node_modules/{library}"));
    let mut command = Command::new("node");
    command.arg(script).env("FAREBOX_NODE_MODULES", installed("node/node_modules"));
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_works_unchanged() {
    passes(python("tests/clients/openai_py_test.py")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_client_works_unchanged() {
    passes(node("tests/clients/openai_node_test.mjs", "openai")).await;
}

fn framework(script: &str) -> Command {
    let mut command = Command::new(installed("frameworks/bin/python"));
    command.arg(script);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_of_anthropic_works_unchanged() {
    passes(framework("tests/clients/anthropic_py_test.py")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn langchain_works_unchanged() {
    passes(framework("tests/clients/langchain_py_test.py")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn litellm_works_unchanged() {
    passes(framework("tests/clients/litellm_py_test.py")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ai_sdk_works_unchanged() {
    passes(node("tests/clients/ai_sdk_test.mjs", "@openrouter/ai-sdk-provider")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_of_openrouter_works_unchanged() {
    passes(python("tests/clients/openrouter_py_test.py")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_client_of_openrouter_works_unchanged() {
    passes(node("tests/clients/openrouter_node_test.mjs", "@openrouter/sdk")).await;
}

/// Sends what the document allows and what it forbids, and checks each answer against it, with all checks that
/// schemathesis makes by itself.
async fn keeps_to_the_document(key: Option<&str>, without: &[&str], farebox: &Farebox) {
    let mut command = Command::new(installed("py/bin/schemathesis"));
    let document = farebox.url("/openapi.json");
    let examples = scale("5", "100");
    command.args(["run", &document, "--url", &farebox.base, "--seed", "7", "--max-examples", examples]);
    command.args(["--request-timeout", "30", "--no-color", "--generation-database", "none"]);
    for operation in without {
        command.args(["--exclude-operation-id", operation]);
    }
    if let Some(key) = key {
        command.args(["--header", &format!("Authorization: Bearer {key}")]);
    }
    // Its own files go where they are not in the way.
    let place = tempfile::TempDir::new().expect("a directory");
    command.env("SCHEMATHESIS_HOOKS", "").env("HYPOTHESIS_STORAGE_DIRECTORY", Path::new(place.path()));
    ends_well(command, farebox, scale(400, 3_000)).await;
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

async fn open_to_many_requests() -> Farebox {
    let env = vec![("FAREBOX_MANAGEMENT_PER_MINUTE", "1000000".to_owned())];
    Farebox::with(Options { env, ..Options::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_kept_to_for_nobody() {
    let farebox = open_to_many_requests().await;
    keeps_to_the_document(None, &[], &farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_kept_to_for_a_key() {
    let farebox = open_to_many_requests().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    keeps_to_the_document(Some(&key.text), &[], &farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_kept_to_for_a_provisioning_key() {
    let farebox = open_to_many_requests().await;
    let key = provisioning(&farebox, "ada@example.com", "10", &["--may-call"]).await;
    // Whether a preset can be made of a body depends on more than its schema: on the models and providers that there are.
    // Which providers take keys is told by the page of integrations.
    // So does whether a question about calls makes sense: names are told by another address, and a time has to have an end
    // after its beginning.
    keeps_to_the_document(Some(&key.text), &["write_preset", "query_analytics", "create_provider_key"], &farebox).await;
}
