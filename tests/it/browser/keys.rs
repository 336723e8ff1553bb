//! Keys in a real browser: several limits, editing, rotating, giving one to a friend, the switch, several at once.

use serde_json::json;

use super::Browser;
use super::pages::Inspector;
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Key, Options};

const PASSWORD: &str = "correct horse battery";
const LONG_NAME: &str = "Integration tests of the quarterly reporting pipeline, second attempt, staging";

async fn key_text(browser: &Browser) -> Key {
    let text = browser.find("#key").await.text().await.expect("a key");
    assert!(text.starts_with("sk-fb-v1-"), "{text}");
    Key { text, org: String::new(), id: String::new() }
}

async fn status(farebox: &Farebox, key: &Key) -> u16 {
    farebox.chat(key, "sandbox/penny", "hi", json!({})).await.status().as_u16()
}

async fn becomes(farebox: &Farebox, key: &Key, expected: u16) {
    for _ in 0..50 {
        if status(farebox, key).await == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("it does not become {expected}");
}

/// Makes a key with limits each day and each month, and looks at every page on the way.
async fn make(inspector: &mut Inspector<'_>) -> Key {
    let browser = inspector.browser;
    inspector.visit("key-new", "/keys/new").await;
    browser.fill("#name", "Blog plugin").await;
    browser.fill("#day", "1").await;
    browser.fill("#month", "ten").await;
    browser.click(".advanced > summary").await;
    browser.fill("#networks", "300.1.1.1").await;
    browser.press("Create key").await;
    browser.shows("is not an address or a network").await;
    inspector.look("error-key-new-wrong").await;
    browser.fill("#month", "20").await;
    browser.fill("#networks", "127.0.0.0/8").await;
    browser.press("Create key").await;
    browser.shows("$20.00 each month").await;
    inspector.look("key-issued").await;
    let key = key_text(browser).await;
    browser.click("[data-reveal-saved]").await;
    browser.press("Done").await;
    browser.shows("Blog plugin").await;
    key
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_edited_rotated_stopped_and_done_to_several() {
    let options = Options { localhost: true, ..Options::default() };
    let farebox = Farebox::with(options).await;
    let ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    farebox.cli(&["credits", "grant", "--email", "ada@example.com", "--amount", "50"]).await;
    let browser = Browser::start(&farebox.base).await;
    browser.open("/sign-in").await;
    browser.take_cookies(ada.cookies()).await;
    let mut inspector = Inspector::new(&browser);
    inspector.visit("keys-empty", "/keys").await;
    let key = make(&mut inspector).await;
    assert_eq!(status(&farebox, &key).await, 200);

    // Edited: it holds for the next call.
    browser.press("Blog plugin").await;
    browser.shows("What it may do").await;
    inspector.look("key").await;
    browser.press("Edit").await;
    browser.shows("Everything takes effect").await;
    inspector.look("key-edit").await;
    browser.fill("#day", "0.01").await;
    browser.press("Save").await;
    browser.shows("is saved").await;
    becomes(&farebox, &key, 403).await;
    inspector.look("key-at-its-limit").await;
    browser.press("Edit").await;
    browser.fill("#day", "5").await;
    browser.press("Save").await;
    becomes(&farebox, &key, 200).await;

    browser.press("Rotate").await;
    browser.shows("The old key works for").await;
    inspector.look("key-rotate").await;
    browser.press("Rotate the key").await;
    browser.shows("The old key works until").await;
    inspector.look("key-rotated").await;
    let new = key_text(&browser).await;
    browser.click("[data-reveal-saved]").await;
    browser.press("Done").await;
    for key in [&key, &new] {
        assert_eq!(status(&farebox, key).await, 200);
    }

    switch(&mut inspector, &farebox, &new).await;
    several(&mut inspector, &farebox).await;
    assert_eq!(browser.errors().await, Vec::<String>::new(), "a quiet console");
    inspector.verdict();
}

/// Everything stops, and everything comes back.
async fn switch(inspector: &mut Inspector<'_>, farebox: &Farebox, key: &Key) {
    let browser = inspector.browser;
    browser.open("/keys").await;
    browser.press("Stop all keys").await;
    // The session may be older than five minutes by now.
    if browser.text().await.contains("Confirm that it is you") {
        browser.fill("#password", PASSWORD).await;
        browser.press("Continue").await;
    }
    browser.shows("No key is changed").await;
    inspector.look("keys-stop").await;
    browser.press("Stop all keys").await;
    browser.shows("are stopped since").await;
    becomes(farebox, key, 403).await;
    inspector.look("keys-stopped").await;
    browser.press("Let them go on").await;
    browser.shows("Let all keys go on").await;
    inspector.look("keys-resume").await;
    browser.press("Let all keys go on").await;
    browser.shows("Each works as it did before").await;
    becomes(farebox, key, 200).await;
}

/// A hundred keys, some of them with long names: chosen, limited, deleted.
async fn several(inspector: &mut Inspector<'_>, farebox: &Farebox) {
    let browser = inspector.browser;
    for statement in [
        "insert into api_key (org_id, id, digest, kind, name, label, created_by, created_at, expires_at, disabled_at)
         select org_id, gen_random_uuid(), sha256(n::text::bytea), 'inference',
            case n % 4 when 0 then $1 when 1 then 'Worker ' || n else repeat('Unbroken', 9) end,
            'sk-fb-v1-ab12…wxyz', created_by, now() - make_interval(days => n),
            case n % 5 when 0 then now() + interval '3 days' end, case n % 7 when 0 then now() end
         from api_key, generate_series(1, 100) n where name = 'Blog plugin'",
        "insert into meter (org_id, id, kind, limit_day, limit_month, spent_month, last_used_at)
         select org_id, id, 'key', case when random() < 0.5 then 1 end, case when random() < 0.5 then 20 end, random() * 20,
            now() - random() * interval '200 days'
         from api_key k where not exists (select from meter m where m.id = k.id) and length($1) > 0",
    ] {
        sqlx::query(statement).bind(LONG_NAME).execute(&farebox.pool).await.expect(statement);
    }
    inspector.visit("keys", "/keys").await;
    inspector.visit("keys-filtered", "/keys?show=no-limit&sort=name&q=worker").await;
    inspector.visit("keys-nothing", "/keys?q=nothing").await;
    browser.open("/keys?sort=name").await;
    browser.holds("document.querySelector('.bulk button').disabled").await;
    browser.click("[data-bulk-all] input").await;
    browser.shows("50 chosen").await;
    browser.click("tbody tr:nth-child(1) .box input").await;
    browser.shows("49 chosen").await;
    inspector.look("keys-chosen").await;
    browser.press("Set limits").await;
    browser.shows("take the place of those").await;
    inspector.look("keys-limits").await;
    browser.fill("#day", "3").await;
    browser.press("Set the limits of 49 keys").await;
    browser.shows("49 keys have the same limits now").await;
    assert_eq!(farebox.text("select count(*)::text from meter where limit_day = 3 and kind = 'key'").await, "49");
    browser.open("/keys?q=Worker").await;
    browser.click("tbody tr:nth-child(1) .box input").await;
    browser.click("tbody tr:nth-child(2) .box input").await;
    browser.press("Delete").await;
    browser.shows("Delete 2 keys").await;
    inspector.look("keys-delete").await;
    browser.click("button[value='delete-sure']").await;
    browser.shows("2 keys deleted").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_friend_without_an_account_claims_a_key_and_sees_what_it_has_left() {
    let options = Options { localhost: true, ..Options::default() };
    let farebox = Farebox::with(options).await;
    let ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    farebox.cli(&["credits", "grant", "--email", "ada@example.com", "--amount", "50"]).await;
    let browser = Browser::start(&farebox.base).await;
    browser.open("/sign-in").await;
    browser.take_cookies(ada.cookies()).await;
    let mut inspector = Inspector::new(&browser);
    inspector.visit("key-give", "/keys/give").await;
    browser.fill("#name", LONG_NAME).await;
    browser.fill("#day", "0.50").await;
    browser.fill("#total", "5").await;
    browser.press("Make the link").await;
    browser.shows("Works once").await;
    inspector.look("key-given").await;
    let link = browser.find("#link").await.text().await.expect("a link");
    browser.click("[data-reveal-saved]").await;
    browser.press("Done").await;
    browser.shows("Waits to be claimed").await;
    inspector.look("key-unclaimed").await;
    inspector.verdict();

    // The friend: another browser, without scripts at first.
    let path = link.split_once("/claim").map(|(_, rest)| format!("/claim{rest}")).expect("a path");
    let plain = Browser::without_scripts(&farebox.base).await;
    plain.open(&path).await;
    plain.shows("A key for you").await;
    let friend = Browser::start(&farebox.base).await;
    let mut inspector = Inspector::new(&friend);
    inspector.visit("claim", &path).await;
    friend.press("Show my key").await;
    friend.shows("Shown this one time").await;
    inspector.look("claimed").await;
    let key = key_text(&friend).await;
    for _ in 0..30 {
        assert_eq!(status(&farebox, &key).await, 200);
    }
    farebox.holds_are_closed().await;
    friend.click("[data-reveal-saved]").await;
    friend.press("See what it has left").await;
    friend.shows("What is left").await;
    friend.shows("$0.30").await;
    inspector.look("holder").await;
    friend.press("Close").await;
    friend.shows("Look up a key").await;
    inspector.look("holder-open").await;
    inspector.visit("error-claim-used", &path).await;
    inspector.visit("error-alarm-unknown", "/alarm?token=0").await;
    inspector.visit("error-unsubscribe-unknown", "/unsubscribe?token=0").await;
    let expected = |error: &String| error.contains("410") || error.contains("400");
    assert_eq!(friend.errors().await.iter().filter(|error| !expected(error)).count(), 0);

    // The holder's page does all of it without scripts.
    plain.open("/key").await;
    plain.fill("#key", &key.text).await;
    plain.press("Look it up").await;
    plain.shows("30 calls").await;
    plain.press("Older").await;
    plain.press("Newest").await;
    plain.press("Close").await;
    plain.shows("Look up a key").await;
}
