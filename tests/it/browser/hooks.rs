//! Notifications and webhooks in a real browser: every page of them, and a message sent by hand.

use farebox::base::Secret;
use farebox::mail::{OFF_KEY_PURPOSE, Off, OffLinks, Topic};

use super::Browser;
use super::pages::Inspector;
use crate::support::farebox::SECRET_KEY;
use crate::support::receiver::{Answer, Receiver};
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options, team};

const PASSWORD: &str = "correct horse battery";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_are_chosen_and_a_webhook_is_tried_by_hand() {
    let env = vec![("FAREBOX_ALLOW_PRIVATE_WEBHOOKS", "true".to_owned())];
    let farebox = Farebox::with(Options { env, localhost: true, ..Options::default() }).await;
    let receiver = Receiver::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let browser = Browser::start(&farebox.base).await;
    browser.open("/sign-in").await;
    browser.take_cookies(ada.cookies()).await;
    let mut inspector = Inspector::new(&browser);
    inspector.visit("notifications-personal", "/settings/notifications").await;

    let org = team::create(&mut ada, "Northwind Studio, Research and Development").await;
    let address = "maximiliane.featherstonehaugh.cholmondeley@example.com";
    let mut guest = Visitor::member(&farebox, address, PASSWORD).await;
    team::bring_in(&farebox, &mut ada, &mut guest, address, "billing").await;
    browser.open("/settings/notifications").await;
    browser.shows("Mails to you about Northwind Studio").await;
    browser.click("label:has(input[name=weekly_summary])").await;
    browser.press("Save").await;
    browser.shows("Saved.").await;
    browser.holds("!document.querySelector('input[name=weekly_summary][type=checkbox]').checked").await;
    inspector.look("notifications").await;
    browser.press("Everybody’s mails").await;
    browser.shows("Gets mails about").await;
    inspector.look("notifications-people").await;
    let person = team::person(&farebox, address).await;
    inspector.visit("notifications-person", &format!("/settings/notifications/{person}")).await;

    // The link in the head of a mail to the guest.
    let mut key = [0; 32];
    hex::decode_to_slice(SECRET_KEY, &mut key).expect("a key");
    let key = farebox::config::derived_key(&Secret::new(key), OFF_KEY_PURPOSE);
    let off = Off { org: org.parse().expect("an id"), person: person.parse().expect("an id"), topic: Topic::Refunds };
    let link = OffLinks::new(farebox.base.parse().expect("an address"), key).link(off);
    browser.open(link.trim_start_matches(&farebox.base)).await;
    browser.shows("Mails about “Refunds and disputes” of Northwind Studio").await;
    inspector.look("unsubscribe").await;
    browser.press("Send no more of these").await;
    browser.shows("These mails have stopped").await;
    inspector.look("unsubscribe-done").await;
    assert_eq!(
        farebox.text("select topic || ' ' || wanted from notice_choice where topic = 'refunds'").await,
        "refunds no"
    );

    inspector.visit("webhooks-empty", "/settings/webhooks").await;
    browser.press("Add a webhook").await;
    browser.fill("#url", "ftp://nowhere.example/").await;
    browser.press("Add the webhook").await;
    browser.shows("Write the whole address").await;
    inspector.look("error-webhook-wrong").await;
    let url = receiver.url("/hooks/farebox/5f0e9b7c2a4d41c0a1f3c8e6d7b2a9f4/production?from=northwind-research");
    browser.fill("#url", &url).await;
    browser.fill("#description", "Alarms of the night shift in the second office").await;
    browser.press("Add the webhook").await;
    browser.shows("Shown this one time").await;
    inspector.look("webhook-secret").await;
    let secret = browser.find("#secret").await.text().await.expect("a secret");
    browser.click("[data-reveal-saved]").await;
    browser.press("Done").await;
    browser.shows("Nothing was sent yet").await;
    inspector.look("webhook-new").await;

    // All are refused, however long the pictures take, until one is sent by hand.
    receiver.answers(Answer::Status(503, "upstream connect error or disconnect before headers"));
    browser.press("Send a test event").await;
    browser.shows("A test event is on its way").await;
    let came = receiver.has(1).await.remove(0);
    assert_eq!(came.signed_with(&secret), 1, "the secret on the page signs");
    reload_until(&browser, "It answers 503").await;
    inspector.look("webhook-failing").await;
    let refused = receiver.came().len();
    receiver.answers(Answer::Status(200, ""));
    browser.click("form[action$='/again'] button").await;
    // "It is being sent already" where its next try begins in this very moment; that one may still be refused.
    browser.shows("under the same id").await;
    let again = receiver.has(refused + 1).await.remove(refused);
    assert_eq!((again.id(), &again.body), (came.id(), &came.body));
    reload_until(&browser, "Taken").await;
    inspector.look("webhook").await;
    browser.click("tbody a.row-link").await;
    browser.shows("upstream connect error").await;
    inspector.look("webhook-message").await;
    inspector.visit("webhooks", "/settings/webhooks").await;
    browser.click("tbody a.row-link").await;
    browser.press("Rotate the secret").await;
    browser.shows("The old secret signs too until").await;
    inspector.look("webhook-rotated").await;
    browser.click("[data-reveal-saved]").await;
    browser.press("Done").await;
    browser.press("Switch off").await;
    browser.shows("It is off and is told nothing").await;
    inspector.look("webhook-off").await;
    browser.press("Delete").await;
    browser.shows("It is told nothing more").await;
    inspector.look("webhook-delete").await;
    browser.press("Delete this webhook").await;
    browser.shows("The webhook is deleted").await;
    inspector.verdict();
}

/// The page shows this after being loaded again, within a minute: its next try by itself may be twenty seconds away.
async fn reload_until(browser: &Browser, text: &str) {
    for _ in 0..300 {
        if browser.text().await.contains(text) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        browser.web.refresh().await.expect("a page");
    }
    panic!("{text} never shows");
}
