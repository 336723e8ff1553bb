//! What scripts add, by clicking and typing.

use serde_json::json;
use thirtyfour::Key;

use super::Browser;

/// Somebody with keys and calls is signed in.
pub async fn check(browser: &Browser) {
    menu_by_keyboard(browser).await;
    palette(browser).await;
    theme(browser).await;
    reveal_guard(browser).await;
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
    summary.click().await.expect("a menu");
    browser.click("h1").await;
    browser.holds("document.querySelectorAll('details.menu[open]').length === 0").await;
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
