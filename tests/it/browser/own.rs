//! Own provider accounts and privacy in a real browser.

use serde_json::json;

use super::Browser;
use super::pages::Inspector;
use crate::support::routes::Routes;

/// Every page of them, wide and narrow, light and dark, empty and full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_own_account_is_connected_and_privacy_is_set_by_hand() {
    let routes = Routes::localhost().await;
    let browser = Browser::start(&routes.farebox.base).await;
    browser.open("/sign-in").await;
    browser.take_cookies(routes.ada().cookies()).await;
    let mut inspector = Inspector::new(&browser);

    inspector.visit("integrations-empty", "/settings/integrations").await;
    inspector.visit("integration-new", "/settings/integrations/beta").await;
    browser.fill("#api_key", "sk-own-0123456789abcdefghijklmnop").await;
    browser.fill("#name", "The account of the reporting pipeline at the second provider").await;
    browser.press("Connect").await;
    browser.shows("Saved. The next call uses it.").await;
    browser.press("Test the key").await;
    browser.shows("The key works").await;
    inspector.look("integration").await;
    inspector.visit("integrations", "/settings/integrations").await;

    browser.open("/settings/privacy").await;
    browser.click("input[name=log_texts]").await;
    browser.press("Save").await;
    browser.shows("Saved. The next call keeps to it.").await;
    let mut told = json!(null);
    for _ in 0..100 {
        told = routes.told(&routes.key, json!({ "model": "lab/other" })).await.2;
        if told["usage"]["cost_details"].get("data_discount").is_some() || told["usage"]["is_byok"] == true {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    inspector.visit("privacy", "/settings/privacy").await;
    inspector.visit("own-call", &format!("/activity/{}", told["id"].as_str().expect("an id"))).await;
    // What the provider bills stands beside the spend.
    let own = "/activity?period=24h&compare=1&col=key&col=tokens&col=cost&col=own&col=status";
    inspector.visit("own-activity", own).await;
    inspector.visit("own-activity-filtered", "/activity?period=24h&own=yes&finish=stop").await;
    inspector.visit("own-sums", "/activity/sums?period=24h&own=yes").await;
    inspector.visit("own-keys", "/keys").await;
    inspector.visit("own-key", &format!("/keys/{}", routes.key.id)).await;
    inspector.visit("own-integrations", "/settings/integrations").await;
    inspector.visit("own-models", "/models").await;
    inspector.visit("own-model", "/models/lab/chat").await;
    inspector.visit("own-preferences", "/settings/preferences").await;

    // What was stored is deleted by whoever types the word.
    browser.open("/settings/privacy").await;
    browser.press("Delete all stored texts").await;
    browser.fill("#typed", "no").await;
    browser.press("Delete all stored texts").await;
    browser.shows("Type delete to confirm. Nothing was deleted.").await;
    // The browser tells of the status of that answer, as it should be.
    assert!(browser.errors().await.iter().all(|error| error.contains("422")));
    inspector.look("privacy-texts-delete").await;
    browser.fill("#typed", "delete").await;
    browser.press("Delete all stored texts").await;
    browser.shows("None are stored.").await;

    // Nobody may answer: the pages say so.
    routes.set(&mut routes.ada(), &[("sort", "price"), ("allowed", "alpha"), ("enforced", "yes")]).await;
    inspector.visit("barred-models", "/models?q=lab").await;
    inspector.visit("barred-model", "/models/lab/other").await;
    inspector.verdict();
}
