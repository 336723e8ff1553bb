//! From nothing to an explained call, by hand.

use farebox::base::Usd;
use farebox::base::ids::CallId;
use serde_json::json;

use super::Browser;
use crate::support::farebox::{Farebox, Key};

const PASSWORD: &str = "correct horse battery";

/// What the database says, as pages show it in full.
async fn exact(farebox: &Farebox, query: &'static str) -> String {
    Usd::parse(farebox.text(query).await.trim_end_matches('0').trim_end_matches('.'))
        .expect("an amount")
        .display_exact()
}

/// The full value of the amount in an element: its title where it is shortened.
async fn amount(browser: &Browser, css: &str) -> String {
    let element = browser.find(&format!("{css} .num")).await;
    let title = element.attr("title").await.expect("an attribute");
    match title {
        Some(title) => title,
        None => element.text().await.expect("a text"),
    }
}

async fn sign_up(browser: &Browser) {
    browser.open("/sign-up").await;
    browser.fill("#name", "Ada Lovelace").await;
    browser.fill("#email", "ada@example.com").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Create account").await;
    browser.shows("We sent a link to ada@example.com").await;
    browser.press("Open the development mailbox").await;
    browser.click(".table a.row-link").await;
    browser.click("a.button[href^='/verify']").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Confirm and sign in").await;
    browser.shows("Make your first call").await;
}

/// Twenty dollars, confirmed late, so that waiting can be seen.
async fn top_up(browser: &Browser) {
    browser.press("Add credits").await;
    browser.fill("#amount", "2").await;
    browser.holds("document.querySelector('[data-quote-slot]') !== null").await;
    browser.fill("#amount", "20").await;
    browser.shows("Buy $20.00 for $21.10").await;
    browser.press("Buy $20.00 for $21.10").await;
    browser.shows("Pay $21.10").await;
    browser.press("Pay, but confirm it later").await;
    browser.shows("Waiting for the payment").await;
    let available = browser.find(".org-balance .num").await.text().await.expect("a balance");
    assert_eq!(available, "$0.00", "coming back credits nothing");
    browser.shows("$20.00 added").await;
}

/// The page shows the key once.
async fn make_key(browser: &Browser) -> Key {
    browser.open("/keys/new").await;
    browser.fill("#name", "Laptop").await;
    browser.fill("#total", "2").await;
    browser.press("Create key").await;
    browser.shows("Shown this one time").await;
    let text = browser.find("#key").await.text().await.expect("a key");
    assert!(text.starts_with("sk-"), "{text}");
    browser.click("[data-reveal-saved]").await;
    browser.web.refresh().await.expect("a page");
    browser.shows("This form has made its key already").await;
    for path in ["/keys", "/keys/new"] {
        browser.open(path).await;
        let source = browser.web.source().await.expect("a page");
        assert!(!source.contains(&text), "{path} shows the key again");
    }
    Key { text, org: String::new(), id: String::new() }
}

/// What the pages of its calls show as charged adds up to what each transfer moved.
async fn moved_is_shown(farebox: &Farebox, browser: &Browser) {
    let transfers: Vec<(uuid::Uuid, String)> =
        sqlx::query_as("select id, amount::text from transfer where code = 'usage'")
            .fetch_all(&farebox.pool)
            .await
            .expect("transfers");
    assert!(!transfers.is_empty());
    for (transfer, amount) in transfers {
        let calls: Vec<uuid::Uuid> = sqlx::query_scalar("select id from usage where transfer_id = $1")
            .bind(transfer)
            .fetch_all(&farebox.pool)
            .await
            .expect("calls");
        let mut shown = Usd::ZERO;
        for call in calls {
            browser.open(&format!("/activity/{}", CallId(call))).await;
            let charged = browser.find("tfoot td").await.text().await.expect("a sum");
            shown += Usd::parse(charged.trim_start_matches('$')).expect("an amount");
        }
        assert_eq!(shown, Usd::parse(&amount).expect("an amount"), "the pages of transfer {transfer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_pays_and_sees_where_every_cent_went() {
    let farebox = Farebox::start().await;
    let browser = Browser::start(&farebox.base).await;
    sign_up(&browser).await;
    top_up(&browser).await;
    let key = make_key(&browser).await;
    for (model, text) in [("sandbox/penny", "How much?"), ("sandbox/echo", "Where did my money go?")] {
        let answer = farebox.chat(&key, model, text, json!({})).await;
        assert_eq!(answer.status(), 200, "{}", farebox.log());
    }
    farebox.holds_are_closed().await;
    let spent = exact(&farebox, "select sum(amount)::text from transfer where code = 'usage'").await;
    assert_ne!(spent, "$0.01", "the second call cost something too");
    assert_eq!(spent, exact(&farebox, "select sum(cost)::text from usage").await);

    browser.open("/activity").await;
    assert_eq!(amount(&browser, "section[aria-labelledby=card-1] .figure-value").await, spent, "the sum of the page");
    let source = browser.text().await;
    assert!(source.contains("sandbox/penny") && source.contains("sandbox/echo"), "{source}");
    let newest = exact(&farebox, "select cost::text from usage order by id desc limit 1").await;
    assert_eq!(amount(&browser, ".table tbody tr:first-child [data-label=Cost]").await, newest);
    browser.click("#log tbody a.row-link").await;
    browser.shows("Call to sandbox/echo").await;
    let charged = browser.find("tfoot td").await.text().await.expect("a sum");
    assert_eq!(charged, newest, "the lines of the cost add up");
    let transfer = farebox.text("select transfer_id::text from usage order by id desc limit 1").await;
    browser.shows(&format!("tra_{}", transfer.replace('-', ""))).await;
    moved_is_shown(&farebox, &browser).await;

    browser.open("/").await;
    let left = exact(&farebox, "select posted::text from credit where posted <> 0").await;
    assert_eq!(amount(&browser, ".figure.large").await, left);
    assert_eq!(browser.errors().await, Vec::<String>::new(), "a quiet console");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_things_can_be_done_without_scripts() {
    let farebox = Farebox::start().await;
    let made = farebox.cli_with(&["user", "create", "--email", "ada@example.com", "--password-stdin"], PASSWORD).await;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let browser = Browser::without_scripts(&farebox.base).await;
    browser.open("/credits").await;
    browser.fill("#email", "ada@example.com").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Sign in").await;
    browser.shows("Payment history").await;
    browser.fill("#amount", "10").await;
    browser.press("Update the total").await;
    browser.press("Buy $10.00 for $10.80").await;
    browser.press("Pay $10.80").await;
    for _ in 0..100 {
        if browser.text().await.contains("$10.00 added") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        browser.web.refresh().await.expect("a page");
    }
    browser.shows("$10.00 added").await;
    browser.press("Keys").await;
    browser.press("Create your first key").await;
    browser.fill("#name", "By hand").await;
    browser.press("Create key").await;
    let text = browser.find("#key").await.text().await.expect("a key");
    browser.press("Done").await;
    let key = Key { text, org: String::new(), id: String::new() };
    assert_eq!(farebox.chat(&key, "sandbox/free", "Hello", json!({})).await.status(), 200);
    for (action, told, status) in [("disable", "“By hand” is disabled", 403), ("enable", "“By hand” is enabled", 200)]
    {
        browser.click(".menu-cell summary").await;
        browser.click(&format!(".menu-cell form[action$='/{action}'] button")).await;
        browser.shows(told).await;
        assert_eq!(farebox.chat(&key, "sandbox/free", "Hello", json!({})).await.status(), status);
    }
    browser.click(".menu-cell summary").await;
    browser.click(".menu-cell a[href$='/delete']").await;
    browser.shows("cannot be brought back").await;
    browser.press("Delete this key").await;
    browser.shows("“By hand” is deleted").await;
    assert_eq!(farebox.chat(&key, "sandbox/free", "Hello", json!({})).await.status(), 401);
    assert_eq!(
        browser.value("document.querySelectorAll('[data-copy]:not([hidden])').length").await,
        0,
        "no script ran"
    );
}
