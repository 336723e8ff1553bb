//! Settings and presets in a real browser.

use super::Browser;
use super::pages::Inspector;
use crate::support::routes::Routes;

/// Values of a list of the editor, in order.
async fn rows(browser: &Browser, list: &str) -> String {
    let rows =
        format!("[...document.querySelectorAll('#{list}-list input[name={list}]')].map(row => row.value).join(' ')");
    browser.value(&rows).await.as_str().unwrap_or_default().to_owned()
}

async fn becomes(browser: &Browser, list: &str, wanted: &str) {
    browser
        .holds(&format!(
            "[...document.querySelectorAll('#{list}-list input[name={list}]')].map(row => row.value).join(' ') === '{wanted}'"
        ))
        .await;
}

/// Every page of them, wide and narrow, light and dark; and the order by pointer and by keyboard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presets_are_written_by_hand() {
    let routes = Routes::localhost().await;
    let browser = Browser::start(&routes.farebox.base).await;
    browser.open("/sign-in").await;
    browser.take_cookies(routes.ada().cookies()).await;
    let mut inspector = Inspector::new(&browser);

    browser.open("/settings/preferences").await;
    browser.fill("#default_model", "lab/chat").await;
    browser.click("input[name=allowed][value=beta]").await;
    browser.shows("Lab beta answers it. There is nobody to fall back on.").await;
    inspector.look("preferences-unsaved").await;
    browser.press("Save").await;
    browser.shows("Saved. The next call uses these settings.").await;
    inspector.visit("preferences", "/settings/preferences").await;

    inspector.visit("presets-empty", "/settings/presets").await;
    browser.open("/settings/presets").await;
    browser.press("Create your first preset").await;
    inspector.look("preset-new").await;
    browser.fill("#name", "Copywriter of the quarterly reporting pipeline, second attempt").await;
    browser.fill("#system_prompt", "Write as a person would, and briefly.").await;
    for model in ["lab/chat", "lab/other", "lab/third"] {
        browser.fill("#models_new", model).await;
        browser.click("#models-add").await;
        browser.holds(&format!("document.querySelector('input[name=models][value=\"{model}\"]') !== null")).await;
    }
    browser.shows("There is no model lab/third here now.").await;
    assert_eq!(rows(&browser, "models").await, "lab/chat lab/other lab/third");
    assert_eq!(browser.value("document.querySelector('#name').value.length > 10").await, true, "nothing typed is lost");

    // By keyboard: the button keeps the focus, so that it can be pressed again.
    let up = "document.getElementById('models-up-lab/third')";
    browser.value(&format!("{up}.focus()")).await;
    browser.find("[id='models-up-lab/third']").await.send_keys("\u{e007}").await.expect("a key");
    becomes(&browser, "models", "lab/chat lab/third lab/other").await;
    browser.holds(&format!("document.activeElement === {up}")).await;
    browser.find("[id='models-up-lab/third']").await.send_keys("\u{e007}").await.expect("a key");
    becomes(&browser, "models", "lab/third lab/chat lab/other").await;

    // By pointer: dragged below the others.
    let handle = browser.find("#models-list [data-row]:first-child [data-handle]").await;
    let last = browser.find("#models-list [data-row]:last-child").await;
    let chain =
        browser.web.action_chain().click_and_hold_element(&handle).move_to_element_center(&last).move_by_offset(0, 12);
    chain.release().perform().await.expect("dragged");
    becomes(&browser, "models", "lab/chat lab/other lab/third").await;
    browser.click("[id='models-drop-lab/third']").await;
    becomes(&browser, "models", "lab/chat lab/other").await;
    browser.holds("document.activeElement.id === 'models_new'").await;
    for slug in ["gamma", "alpha"] {
        browser.fill("#order_new", slug).await;
        browser.click("#order-add").await;
        browser.holds(&format!("document.querySelector('input[name=order][value=\"{slug}\"]') !== null")).await;
    }
    // What is wrong is said while it is written.
    browser.fill("#temperature", "3").await;
    browser.click("#top_p").await;
    browser.shows("Temperature must be a number from 0 to 2.").await;
    inspector.look("preset-wrong").await;
    browser.fill("#temperature", "0.7").await;
    browser.fill("#top_p", "0.9").await;
    browser.click("#name").await;
    browser.shows("lab/chat does not know top_p: it is asked without.").await;
    browser.press("Create preset").await;
    browser.shows("can be called now.").await;
    inspector.look("preset").await;
    browser.fill("#system_prompt", "Write as a person would.").await;
    browser.press("Save as the next version").await;
    browser.shows("Version 2 is saved. The next call gets it.").await;
    browser.press("Version 2").await;
    browser.shows("What changed").await;
    inspector.look("preset-versions").await;
    inspector.visit("presets", "/settings/presets").await;
    browser.open("/settings/presets").await;
    browser.click(".row-link").await;
    browser.press("Try it").await;
    browser.fill("#message", "Hello").await;
    browser.press("Send").await;
    browser.shows("Hello from the fake upstream.").await;
    inspector.look("preset-try").await;
    browser.open("/settings/presets").await;
    browser.click(".menu-cell summary").await;
    browser.press("Archive").await;
    browser.shows("is archived. Calls that name it are refused").await;
    inspector.visit("presets-archived", "/settings/presets?archived=1").await;
    browser.click(".row-link").await;
    browser.shows("This preset is archived").await;
    inspector.look("preset-archived").await;
    inspector.verdict();

    // What does not come in the background is said where the page says what has happened.
    let add = "(document.querySelector('#models-add').click(), true)";
    let told = "document.querySelector('.page > .flash.bad[role=alert] p')";
    browser.open("/settings/presets/new").await;
    let token = "document.querySelector('#editor [name=csrf_token]')";
    let own = browser.value(&format!("{token}.value")).await;
    browser.value(&format!("{token}.value = 'of another browser'")).await;
    browser.fill("#models_new", "lab/chat").await;
    browser.value(add).await;
    browser.shows("This form is no longer valid, so nothing was done.").await;
    browser.holds(&format!("{told} !== null")).await;
    // What the typing itself asks for comes a moment later, and with the wrong token too.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    browser.value(&format!("{token}.value = {own}")).await;
    browser.value(add).await;
    becomes(&browser, "models", "lab/chat").await;
    browser.holds(&format!("{told} === null")).await;
    // Who was signed out meanwhile is told, and what was typed stays where it is.
    sqlx::query("delete from session").execute(&routes.farebox.pool).await.expect("signed out");
    browser.value(add).await;
    browser.shows("You were signed out, so nothing of this is saved.").await;
    browser.holds("location.pathname === '/settings/presets/new'").await;
}
