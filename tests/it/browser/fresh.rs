//! New calls are told while somebody reads the list, and nothing of what they look at or type moves.

use serde_json::{Value, json};

use super::Browser;
use crate::support::Farebox;
use crate::support::visitor::Visitor;

/// Where the reader is: how far down the row in the middle stands, what is typed and where, which row is the first, and
/// that it is still the same page.
const PLACE: &str = "JSON.stringify([
    Math.round(document.querySelector('#log tbody tr:nth-child(18)').getBoundingClientRect().top),
    document.querySelector('#asked').value, document.activeElement.id,
    document.querySelector('#log tbody a.row-link').getAttribute('href'),
    document.querySelectorAll('#log tbody tr').length, document.querySelector('.filters-more').open,
    document.documentElement.dataset.same])";

async fn call(farebox: &Farebox, key: &crate::support::Key) -> String {
    let answer = farebox.chat(key, "sandbox/free", "Hello", json!({})).await;
    assert_eq!(answer.status(), 200);
    answer.headers()["x-generation-id"].to_str().expect("text").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_calls_are_told_and_nobody_loses_their_place() {
    let farebox = Farebox::start().await;
    let ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let key = farebox.key("ada@example.com", "1", &[]).await;
    for _ in 0..30 {
        call(&farebox, &key).await;
    }
    farebox.holds_are_closed().await;
    let browser = Browser::start(&farebox.base).await;
    browser.open("/sign-in").await;
    browser.take_cookies(ada.cookies()).await;
    browser.open("/activity?period=24h").await;
    browser.click(".filters-more summary").await;
    browser.fill("#asked", "sandbox/fr").await;
    browser.web.execute("document.documentElement.dataset.same = 'yes';", Vec::new()).await.expect("marked");
    let scroll = "document.querySelector('#log tbody tr:nth-child(18)').scrollIntoView({ block: 'center' });";
    browser.web.execute(scroll, Vec::new()).await.expect("scrolled");
    browser.holds("scrollY > 300").await;
    let place = browser.value(PLACE).await;

    call(&farebox, &key).await;
    browser.holds("document.querySelector('#new-calls').textContent.trim() === '1 new call'").await;
    assert_eq!(browser.value(PLACE).await, place, "everything is where it was");

    // The same with a call open beside the list.
    browser.click("#log tbody tr:nth-child(18) a.row-link").await;
    browser.holds("document.querySelector('#drawer').open").await;
    browser.shows("Hold and settlement").await;
    let scroll = "const drawer = document.querySelector('#drawer'); drawer.scrollTop = 120; return drawer.scrollTop;";
    let scrolled = browser.web.execute(scroll, Vec::new()).await.expect("scrolled").json().clone();
    let newest = call(&farebox, &key).await;
    browser.holds("document.querySelector('#new-calls').textContent.trim() === '2 new calls'").await;
    browser.holds("document.querySelector('#drawer').open").await;
    assert_eq!(browser.value("document.querySelector('#drawer').scrollTop").await, scrolled);
    assert_eq!(browser.value("document.documentElement.dataset.same").await, Value::from("yes"));
    browser.click("#drawer [data-close]").await;
    browser.holds("!document.querySelector('#drawer').open").await;

    // Its address is the call's while it is open, and going back closes it.
    browser.holds("location.pathname === '/activity' && location.search === '?period=24h'").await;
    browser.click("#log tbody tr:nth-child(18) a.row-link").await;
    browser.holds("location.pathname.startsWith('/activity/gen-') && document.querySelector('#drawer').open").await;
    browser.holds("document.querySelector('#drawer[aria-labelledby=drawer-title]') !== null").await;
    browser.web.execute("history.back();", Vec::new()).await.expect("back");
    browser.holds("!document.querySelector('#drawer').open && location.pathname === '/activity'").await;
    assert_eq!(browser.value("document.documentElement.dataset.same").await, Value::from("yes"), "the list stayed");

    // Only whoever asks for them gets them: at the top of the list, with what was chosen.
    browser.click("#new-calls a").await;
    browser.holds("document.documentElement.dataset.same === undefined").await;
    browser
        .holds(&format!(
            "document.querySelector('#log tbody a.row-link').getAttribute('href') === '/activity/{newest}'"
        ))
        .await;
    browser.holds("location.search.includes('period=24h') && location.hash === '#log'").await;
    browser.holds("document.querySelector('#new-calls').textContent.trim() === ''").await;
    assert_eq!(browser.errors().await, Vec::<String>::new(), "a quiet console");
}
