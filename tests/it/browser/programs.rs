//! Programs in a real browser: making a provisioning key, seeing what it issued, and connecting an app.

use serde_json::json;

use super::Browser;
use super::pages::Inspector;
use super::town::{self, Town};
use crate::stories::management::{issue, provisioning};
use crate::support::{Farebox, Key};

const PASSWORD: &str = "correct horse battery";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn consent(callback: &str) -> String {
    let pairs = [("callback_url", callback), ("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
    let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    format!("/auth?{}", serde_urlencoded::to_string(pairs).expect("a query"))
}

/// Every page of programs, in the states that differ.
pub async fn pages(inspector: &mut Inspector<'_>, town: &Town) {
    let browser = inspector.browser;
    inspector.visit("provisioning-empty", "/settings/provisioning").await;
    let farebox = &town.farebox;
    let limits =
        ["--limit-daily", "1", "--limit-monthly", "20", "--name", "Workshop of the research department, third floor"];
    let manager = provisioning(farebox, town::EMAIL, "", &limits).await;
    provisioning(farebox, town::EMAIL, "", &["--may-call", "--expires", "2100-01-01T00:00:00Z"]).await;
    inspector.visit("provisioning-unused", &format!("/settings/provisioning/{}", manager.id)).await;
    for number in 0..3 {
        let name = format!("Friend number {number}, who has a rather long name for a key");
        let limit = if number == 0 { json!(null) } else { json!(0.02) };
        let (key, _) = issue(farebox, &manager, json!({ "name": name, "limit": limit })).await;
        for _ in 0..number {
            farebox.chat(&key, "sandbox/penny", "one cent", json!({})).await;
        }
    }
    let show = format!("/settings/provisioning/{}", manager.id);
    for (name, path) in [
        ("provisioning", "/settings/provisioning".to_owned()),
        ("provisioning-show", show.clone()),
        ("provisioning-delete", format!("{show}/delete")),
        ("provisioning-edit", format!("{show}/edit")),
        ("provisioning-rotate", format!("{show}/rotate")),
        ("provisioning-new", "/settings/provisioning/new".to_owned()),
        (
            "connect",
            consent("https://a-rather-long-name-of-an-app.editor.example/callback/of/the/app?state=1234567890"),
        ),
        ("connect-local", consent("http://localhost:3000/callback")),
        ("connect-headless", consent("")),
        ("error-connect", consent("http://elsewhere.example/")),
    ] {
        inspector.visit(name, &path).await;
    }
    browser.open("/settings/provisioning/new").await;
    browser.fill("#name", "Bot").await;
    browser.fill("#day", "ten").await;
    browser.press("Create provisioning key").await;
    browser.shows("is not an amount of dollars").await;
    inspector.look("error-provisioning-new").await;
    browser.open(&consent("")).await;
    browser.press("Show me a code").await;
    browser.shows("Shown this one time").await;
    inspector.look("connect-code").await;
}

async fn sign_up(browser: &Browser) {
    browser.open("/sign-up").await;
    browser.fill("#name", "Ada Lovelace").await;
    browser.fill("#email", "ada@example.com").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Create account").await;
    browser.press("Open the development mailbox").await;
    browser.click(".table a.row-link").await;
    browser.click("a.button[href^='/verify']").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Confirm and sign in").await;
    browser.shows("Make your first call").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provisioning_key_is_made_by_hand_and_its_page_shows_what_it_issued() {
    let farebox = Farebox::start().await;
    let browser = Browser::start(&farebox.base).await;
    sign_up(&browser).await;
    farebox.key("ada@example.com", "5", &[]).await;
    // What was shown a while ago is asked for again.
    sqlx::query("update session set authenticated_at = now() - interval '1 hour'")
        .execute(&farebox.pool)
        .await
        .expect("a change");
    browser.open("/settings/provisioning").await;
    browser.press("Create the first one").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Continue").await;
    browser.fill("#name", "Workshop").await;
    browser.fill("#total", "0.05").await;
    browser.press("Create provisioning key").await;
    browser.shows("Shown this one time").await;
    let text = browser.find("#key").await.text().await.expect("a key");
    let manager = Key { text, org: String::new(), id: String::new() };
    browser.click("[data-reveal-saved]").await;
    browser.press("Done").await;
    browser.shows("None yet").await;
    let (key, hash) = issue(&farebox, &manager, json!({ "name": "Noor" })).await;
    for _ in 0..2 {
        assert_eq!(farebox.chat(&key, "sandbox/penny", "one cent", json!({})).await.status(), 200);
    }
    farebox.holds_are_closed().await;
    browser.web.refresh().await.expect("a page");
    browser.shows("Noor").await;
    browser.shows("$0.02").await;
    browser.press("Disable it and its keys").await;
    browser.shows("and with it every key that it issued").await;
    assert_eq!(farebox.chat(&key, "sandbox/penny", "one cent", json!({})).await.status(), 403);
    browser.press("Enable it and its keys").await;
    browser.shows("work again").await;
    browser.press("Delete").await;
    browser.shows("None of them can be brought back").await;
    browser.press("Delete all of them").await;
    browser.shows("No provisioning keys yet").await;
    let listed = farebox.http.get(farebox.url(&format!("/api/v1/keys/{hash}"))).bearer_auth(&manager.text).send().await;
    assert_eq!(listed.expect("an answer").status(), 401);
}

/// The address at which the browser is, once this stands in it.
async fn arrives(browser: &Browser, part: &str) -> String {
    for _ in 0..100 {
        let place = browser.web.current_url().await.expect("an address").to_string();
        if place.contains(part) {
            return place;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the browser does not get to {part}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_connected_by_hand() {
    let farebox = Farebox::start().await;
    let browser = Browser::start(&farebox.base).await;
    sign_up(&browser).await;
    farebox.key("ada@example.com", "5", &[]).await;
    browser.open(&consent("http://localhost:9/callback?state=5")).await;
    browser.shows("localhost:9").await;
    browser.fill("#name", "My editor").await;
    browser.fill("#limit", "2.50").await;
    // Nobody listens there; the browser goes to the callback all the same.
    browser.press("Give it a key").await;
    let place = arrives(&browser, "code=").await;
    let (_, rest) = place.split_once("code=").expect("a code");
    let code: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    let body = json!({ "code": code, "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" });
    let answer = farebox.http.post(farebox.url("/api/v1/auth/keys")).json(&body).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{place}");
    browser.open("/keys").await;
    browser.shows("My editor").await;
    browser.shows("$2.50").await;
}
