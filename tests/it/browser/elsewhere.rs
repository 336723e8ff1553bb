//! Signing in with an account elsewhere, at a real provider, by hand.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Browser;
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options};

const START_WITHIN: Duration = Duration::from_secs(60);
const PASSWORD: &str = "correct horse battery";
const SECRET: &str = "interop-secret-2207";

/// The provider's process. Dropping it kills it.
struct RealProvider(Child);

impl Drop for RealProvider {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program and a provider that know each other.
async fn start() -> (Farebox, RealProvider) {
    let modules = super::target().join("clients/node/node_modules");
    assert!(modules.join("oidc-provider").exists(), "oidc-provider is not installed: run script/bootstrap test");
    let child = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/oidc_provider.mjs"))
        .env("FAREBOX_NODE_MODULES", modules)
        .env("OIDC_CLIENT_ID", "farebox")
        .env("OIDC_CLIENT_SECRET", SECRET)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut provider = RealProvider(child.expect("node starts"));
    let (mut input, output) =
        (provider.0.stdin.take().expect("its input"), provider.0.stdout.take().expect("its output"));
    let (send, mut lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Read to the end, or it would die of what it cannot write.
            let _ = send.send(line);
        }
    });
    let port = tokio::time::timeout(START_WITHIN, lines.recv()).await.expect("in time").expect("a port");
    let env = vec![
        ("FAREBOX_OIDC_CERTIFIED_ISSUER", format!("http://127.0.0.1:{port}")),
        ("FAREBOX_OIDC_CERTIFIED_CLIENT_ID", "farebox".to_owned()),
        ("FAREBOX_OIDC_CERTIFIED_CLIENT_SECRET", SECRET.to_owned()),
        ("FAREBOX_OIDC_CERTIFIED_LABEL", "Example ID".to_owned()),
    ];
    let farebox = Farebox::with(Options { env, ..Options::default() }).await;
    writeln!(input, "{}", farebox.url("/oidc/certified/callback")).expect("it reads");
    let ready = tokio::time::timeout(START_WITHIN, lines.recv()).await.expect("in time");
    assert_eq!(ready.as_deref(), Some("ready"));
    (farebox, provider)
}

/// Fills in the provider's own pages.
async fn sign_in_there(browser: &Browser, name: &str) {
    browser.fill("input[name=login]", name).await;
    browser.fill("input[name=password]", "anything").await;
    browser.click("button[type=submit]").await;
}

async fn consent(browser: &Browser) {
    browser.press("Continue").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_up_links_and_confirms_at_a_real_provider() {
    let (farebox, _provider) = start().await;
    let browser = Browser::start(&farebox.base).await;
    // Somebody new.
    browser.open("/sign-up").await;
    browser.press("Continue with Example ID").await;
    sign_in_there(&browser, "grace@example.com").await;
    consent(&browser).await;
    browser.shows("Make your first call").await;
    assert_eq!(farebox.text("select name || ' ' || email from person").await, "Ada Elsewhere grace@example.com");
    // And again: the provider remembers them, so there is nothing to fill in.
    browser.click(".person summary").await;
    browser.press("Sign out").await;
    browser.shows("Forgot your password?").await;
    browser.open("/sign-in?next=/keys").await;
    browser.press("Continue with Example ID").await;
    browser.shows("No keys yet").await;
    assert_eq!(browser.path().await, "/keys");
    assert_eq!(farebox.text("select count(*)::text from person").await, "1");
    // The provider's own pages may complain, ours not.
    let ours: Vec<String> = browser.errors().await.into_iter().filter(|line| line.starts_with(&farebox.base)).collect();
    assert_eq!(ours, Vec::<String>::new(), "a quiet console");

    // What could do harm has to be confirmed there, and before a password is typed.
    sqlx::query("update session set authenticated_at = now() - interval '1 hour'")
        .execute(&farebox.pool)
        .await
        .expect("time passes");
    browser.open("/settings/sign-in").await;
    browser.press("Confirm with Example ID").await;
    sign_in_there(&browser, "grace@example.com").await;
    browser.shows("Ways to sign in").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Add password").await;
    browser.shows("Your password is set").await;
    browser.press("Unlink Example ID").await;
    browser.shows("Example ID no longer signs you in").await;
    assert_eq!(farebox.text("select count(*)::text from identity").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_linked_by_hand_only_and_without_scripts_too() {
    let (farebox, _provider) = start().await;
    let ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let browser = Browser::without_scripts(&farebox.base).await;
    browser.open("/sign-in").await;
    browser.press("Continue with Example ID").await;
    sign_in_there(&browser, "ada@example.com").await;
    consent(&browser).await;
    browser.shows("You have an account already").await;
    assert_eq!(farebox.text("select count(*)::text from identity").await, "0");
    browser.press("Sign in and link it").await;
    browser.fill("#email", "ada@example.com").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Sign in").await;
    browser.press("Link Example ID").await;
    browser.shows("You can now sign in with Example ID").await;
    browser.shows("not used yet").await;
    browser.click(".person summary").await;
    browser.press("Sign out").await;
    browser.press("Continue with Example ID").await;
    browser.shows("Make your first call").await;
    assert_eq!(farebox.text("select count(*)::text from person").await, "1");
    drop(ada);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_not_proven_there_opens_no_account() {
    let (farebox, _provider) = start().await;
    let browser = Browser::start(&farebox.base).await;
    browser.open("/sign-in").await;
    browser.press("Continue with Example ID").await;
    sign_in_there(&browser, "unproven@example.com").await;
    consent(&browser).await;
    browser.shows("Your address is not verified").await;
    browser.press("Back to sign in").await;
    browser.shows("Continue with Example ID").await;
    assert_eq!(farebox.text("select count(*)::text from person").await, "0");
}
