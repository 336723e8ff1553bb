//! What scripts add, by clicking and typing.

use serde_json::json;
use thirtyfour::Key;

use super::Browser;
use super::town::Town;

/// Somebody with keys and calls is signed in.
pub async fn check(browser: &Browser, town: &Town) {
    menu_by_keyboard(browser).await;
    whereabouts(browser).await;
    palette(browser).await;
    theme(browser).await;
    reveal_guard(browser).await;
    live_fee(browser).await;
    polling_ends(browser, &town.payment("pending").await).await;
    expiring_key(browser).await;
    long_names(browser).await;
}

async fn menu_by_keyboard(browser: &Browser) {
    browser.open("/keys").await;
    let summary = browser.find(".menu-cell summary").await;
    summary.focus().await.expect("a menu");
    summary.send_keys(Key::Enter + "").await.expect("a key");
    browser.holds("document.querySelectorAll('details.menu[open]').length === 1").await;
    press_key(browser, "ArrowDown").await;
    browser.holds("document.activeElement.textContent.trim() === 'View activity'").await;
    press_key(browser, "ArrowUp").await;
    browser.holds("document.activeElement.textContent.trim() === 'Delete'").await;
    press_key(browser, "Escape").await;
    browser.holds("document.querySelectorAll('details.menu[open]').length === 0").await;
    browser.holds("document.activeElement.tagName === 'SUMMARY'").await;
    summary.send_keys(Key::Enter + "").await.expect("a key");
    browser.holds("document.querySelectorAll('details.menu[open]').length === 1").await;
    browser.web.execute("document.querySelector('.person summary').focus();", Vec::new()).await.expect("elsewhere");
    browser.holds("document.querySelectorAll('details.menu[open]').length === 0").await;
    summary.click().await.expect("a menu");
    browser.click("h1").await;
    browser.holds("document.querySelectorAll('details.menu[open]').length === 0").await;
}

/// The last page of a sidebar that is longer than the window.
async fn whereabouts(browser: &Browser) {
    browser.open("/docs/api").await;
    browser
        .holds(
            "(() => {
               const [nav, here] = ['.side > .nav', '.side > .nav [aria-current]'].map((s) => document.querySelector(s).getBoundingClientRect());
               return here.top >= nav.top && here.bottom <= nav.bottom;
             })()",
        )
        .await;
}

async fn palette(browser: &Browser) {
    browser.open("/keys").await;
    control_k(browser).await;
    browser.holds("document.querySelector('dialog.palette')?.open === true").await;
    browser.holds("document.activeElement.getAttribute('role') === 'combobox'").await;
    browser.fill("dialog.palette input", "no page has this name").await;
    browser.shows("Nothing by that name.").await;
    browser.fill("dialog.palette input", "blog plug").await;
    browser.holds("document.querySelectorAll('#palette-list li[data-at]').length === 1").await;
    browser.fill("dialog.palette input", "keys").await;
    browser
        .holds(
            "[...document.querySelector('#palette-list li').children].map((c) => c.textContent).join() === 'Keys,Page'",
        )
        .await;
    press_key(browser, "Escape").await;
    browser.holds("document.querySelector('dialog.palette').open === false").await;
    control_k(browser).await;
    browser.fill("dialog.palette input", "profile").await;
    press_key(browser, "Enter").await;
    browser.holds("location.pathname === '/settings/profile'").await;
}

async fn theme(browser: &Browser) {
    for (theme, background) in [("dark", "< 0.5"), ("light", "> 0.5"), ("system", "> 0.5")] {
        browser.open("/settings/profile").await;
        browser.click(&format!("input[name=theme][value={theme}]")).await;
        browser.press("Save profile").await;
        browser.find(".flash.good").await;
        let lightness = "parseFloat(getComputedStyle(document.documentElement).backgroundColor.split('(')[1])";
        browser.holds(&format!("{lightness} {background}")).await;
    }
}

/// A key that was not copied is not left by accident.
async fn reveal_guard(browser: &Browser) {
    let origin = browser.value("location.origin").await;
    let grant = json!({ "origin": origin, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.devtools("Browser.grantPermissions", grant).await;
    browser.open("/keys/new").await;
    browser.fill("#name", "Guarded").await;
    browser.press("Create key").await;
    let done = browser.find("[data-reveal-done]").await;
    assert_eq!(done.attr("aria-disabled").await.expect("an attribute").as_deref(), Some("true"));
    done.click().await.expect("a link");
    browser.holds("document.activeElement.matches('[data-reveal-saved]')").await;
    browser.holds("!document.querySelector('[data-reveal-saved]').checked").await;
    browser.click("[data-copy='#key']").await;
    browser.shows("Copied").await;
    browser.holds("document.querySelector('#announcer').textContent === 'Copied'").await;
    browser.holds("document.querySelector('[data-reveal-saved]').checked").await;
    let copied = "const done = arguments[0]; navigator.clipboard.readText().then(done, (e) => done(String(e)));";
    let copied = browser.web.execute_async(copied, Vec::new()).await.expect("the clipboard").json().clone();
    assert_eq!(copied, browser.value("document.querySelector('#key').textContent").await);
    browser.holds("!document.querySelector('[data-reveal-done]').hasAttribute('aria-disabled')").await;
    browser.press("Done").await;
    browser.holds("location.pathname === '/keys'").await;
}

/// The fee follows the amount as it is typed; what is wrong with the amount waits until it is entered.
async fn live_fee(browser: &Browser) {
    browser.open("/credits").await;
    browser.fill("#amount", "20").await;
    browser.shows("Buy $20.00 for $21.10").await;
    let said = "document.querySelector('[data-quote-said][role=status]').textContent";
    browser.holds(&format!("{said}.includes('Total to pay $21.10')")).await;
    browser.value("document.querySelector('#amount').dataset.same = 'yes'").await;
    // Emptying a field enters it, so what is there is typed over.
    let field = browser.find("#amount").await;
    field.send_keys(Key::Control + "a").await.expect("a key");
    field.send_keys("20,5,0").await.expect("a field");
    browser.shows("Enter an amount to see the fee and the total").await;
    browser.holds("document.querySelector('form[data-quote] .error-text') === null").await;
    field.send_keys(Key::Tab + "").await.expect("a key");
    browser.find("form[data-quote] #amount[aria-invalid=true]").await;
    browser.holds("document.querySelector('form[data-quote] .error-text') !== null").await;
    browser
        .holds(&format!("{said} === document.querySelector('form[data-quote] .error-text').textContent.trim()"))
        .await;
    browser.fill("#amount", "20.5").await;
    browser.shows("Buy $20.50 for").await;
    browser.holds("document.querySelector('form[data-quote] .error-text') === null").await;
    browser.holds("document.querySelector('#amount').dataset.same === 'yes'").await;
}

/// A page that nobody looks at any more does not ask for ever.
async fn polling_ends(browser: &Browser, pending: &str) {
    let asked = "performance.getEntriesByType('resource').filter((e) => e.initiatorType === 'xmlhttprequest').length";
    browser.open(pending).await;
    browser.holds(&format!("{asked} > 0")).await;
    browser.holds("document.querySelector('[data-poll-over]').hidden").await;
    browser.web.execute(ELEVEN_MINUTES_LATER, Vec::new()).await.expect("another time");
    browser.shows("This page no longer looks by itself").await;
    let before = browser.value(asked).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(browser.value(asked).await, before, "it asks no more");
    browser.web.execute("document.dispatchEvent(new Event('visibilitychange'));", Vec::new()).await.expect("back");
    browser.holds("document.querySelector('[data-poll-over]').hidden").await;
    browser.holds(&format!("{asked} > {before}")).await;
}

const ELEVEN_MINUTES_LATER: &str = "const now = Date.now; Date.now = () => now() + 11 * 60 * 1000;";

async fn expiring_key(browser: &Browser) {
    browser.open("/keys/new").await;
    browser.fill("#name", "For a week").await;
    browser.click("#expires option[value='7d']").await;
    browser.press("Create key").await;
    browser.click("[data-reveal-saved]").await;
    browser.press("Done").await;
    browser.shows("For a week").await;
    let row = "[...document.querySelectorAll('tbody tr')].find((r) => r.textContent.includes('For a week')).innerText";
    browser.holds(&format!("{row}.includes('Expires soon') && / 20[0-9][0-9]\\s+[0-9:]+ UTC/.test({row})")).await;
}

/// Names of people, keys and apps are cut or wrapped where they would push figures aside.
async fn long_names(browser: &Browser) {
    browser.open("/settings/profile").await;
    browser.fill("#name", "Wilhelmina Alexandra Featherstonehaugh-Cholmondeley of Kent").await;
    browser.press("Save profile").await;
    browser.find(".flash.good").await;
    browser.open("/keys").await;
    browser.holds("document.querySelectorAll('tbody tr').length > 3").await;
    for (cell, lines) in [("td[data-label=\"Made by\"]", 1), ("th", 5), ("td[data-label=Expires]", 2)] {
        let highest = format!(
            "Math.max(...[...document.querySelectorAll('tbody {cell}')].map((c) => c.firstElementChild.offsetHeight))"
        );
        browser.holds(&format!("{highest} <= {lines} * 22")).await;
    }
    assert_eq!(super::overflow::beyond(browser).await, Vec::<String>::new());
}

async fn press_key(browser: &Browser, key: &str) {
    let (code, text) = match key {
        "Enter" => (13, "\r"),
        "Escape" => (27, ""),
        "ArrowUp" => (38, ""),
        _ => (40, ""),
    };
    for kind in ["keyDown", "keyUp"] {
        let event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
        browser.devtools("Input.dispatchKeyEvent", event).await;
    }
}

async fn control_k(browser: &Browser) {
    let event = json!({ "type": "keyDown", "key": "k", "code": "KeyK", "windowsVirtualKeyCode": 75, "modifiers": 2 });
    browser.devtools("Input.dispatchKeyEvent", event).await;
}
