//! Paying by hand: through the payment page of a processor and back.

use serde_json::json;

use super::pages::Inspector;
use super::{Browser, overflow};
use crate::support::rail::Rail;
use crate::support::shop::{Shop, becomes, minutes_pass};
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options};

/// Chooses an amount and a way to pay, and goes to the payment page.
async fn buy(browser: &Browser, amount: &str, method: &str, group: &str, button: &str) {
    browser.open("/credits").await;
    if !group.is_empty() {
        browser.press(group).await;
    }
    browser.click(&format!("input[name=method][value={method}]")).await;
    // Last, so that the button which appears is the one that stays.
    browser.fill("#amount", amount).await;
    browser.shows(button).await;
    browser.press(button).await;
    browser.shows("no money moves").await;
}

async fn balance(browser: &Browser) -> String {
    browser.find(".org-balance .num").await.text().await.expect("a balance")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_pays_in_every_way_takes_some_back_and_sees_it_all() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let browser = Browser::start(&farebox.base).await;
    browser.open("/sign-in").await;
    browser.take_cookies(ada.cookies()).await;
    let mut inspector = Inspector::new(&browser);
    inspector.visit("money-credits", "/credits").await;

    // Coming back too early credits nothing, and the payment page can be reached again.
    buy(&browser, "20", "card", "", "Buy $20.00 for $21.10").await;
    browser.press("Cancel").await;
    browser.shows("Waiting for the payment").await;
    browser.shows("there is nothing left to do").await;
    assert_eq!(balance(&browser).await, "$0.00");
    inspector.look("money-early").await;
    browser.press("Go to the payment page").await;
    browser.press("Decline").await;
    browser.shows("declined").await;
    browser.press("Succeed").await;
    browser.shows("$20.00 added").await;
    assert_eq!(balance(&browser).await, "$20.00");
    let paid = browser.path().await;
    // The processor's page said 402 to the declined card.
    browser.errors().await;

    // A way that is paid once.
    buy(&browser, "100", "alipay", "Use one-time payment methods", "Buy $100.00 for $105.50").await;
    browser.press("Succeed").await;
    browser.shows("$100.00 added").await;

    // One that is kept, and forgotten again.
    browser.open("/credits").await;
    browser.fill("#amount", "10").await;
    browser.shows("Buy $10.00 for $10.80").await;
    browser.click("input[name=save]").await;
    browser.press("Buy $10.00 for $10.80").await;
    browser.press("Succeed").await;
    browser.shows("$10.00 added").await;
    becomes(&farebox, "select count(*)::text from payment_method", "1").await;
    inspector.visit("money-saved", "/credits").await;
    browser.shows("Visa ending in 4242").await;
    browser.press("Remove").await;
    inspector.look("money-remove").await;
    browser.press("Remove it").await;
    browser.shows("was removed").await;

    // Unused credits go back; the fee does not.
    browser.open(&paid).await;
    browser.press("Return unused credits").await;
    browser.shows("Fee, kept").await;
    inspector.look("money-refund").await;
    browser.press("Return $20.00").await;
    browser.shows("were returned").await;
    becomes(&farebox, "select state from topup where credits = 20", "refunded").await;
    browser.open(&paid).await;
    browser.shows("Refunded").await;
    inspector.look("money-refunded").await;
    browser.press("Receipt").await;
    browser.shows("$21.10").await;
    inspector.look("money-receipt").await;
    // As it comes out of a printer.
    browser.devtools("Emulation.setEmulatedMedia", json!({ "media": "print" })).await;
    overflow::screenshot(&browser, "money-receipt-print").await;
    assert!(!browser.text().await.contains("Overview"), "the menu is not printed");
    browser.devtools("Emulation.setEmulatedMedia", json!({ "media": "" })).await;
    inspector.visit("money-history", "/credits").await;
    assert_eq!(balance(&browser).await, "$110.00");
    shop.agrees(&farebox).await;
    inspector.verdict();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_keeps_a_card_switches_auto_top_up_on_and_off_and_redeems_a_code() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let browser = Browser::start(&farebox.base).await;
    browser.open("/sign-in").await;
    browser.take_cookies(ada.cookies()).await;
    let mut inspector = Inspector::new(&browser);

    // A card, kept without buying.
    inspector.visit("auto-nothing-saved", "/credits/auto").await;
    browser.press("Save one").await;
    browser.shows("Nothing is charged now").await;
    inspector.look("auto-save-method").await;
    browser.press("Go on to the payment processor").await;
    browser.shows("no money moves").await;
    browser.press("Save").await;
    browser.shows("Visa ending in 4242 is saved").await;
    inspector.look("auto-method-saved").await;

    // A rule that makes no sense, then one that does: below the amount already, it buys at once.
    browser.press("See auto top-up").await;
    browser.press("Switch it on").await;
    browser.shows("At most in a day").await;
    for (field, value) in [("#below", "10"), ("#credits", "20"), ("#cap_day", "5"), ("#cap_month", "1000")] {
        browser.fill(field, value).await;
    }
    browser.press("Switch it on").await;
    browser.shows("At least $21.10").await;
    browser.errors().await;
    inspector.look("auto-wrong").await;
    browser.fill("#cap_day", "100").await;
    browser.press("Switch it on").await;
    browser.shows("Auto top-up is on.").await;
    becomes(&farebox, "select string_agg(origin || ' ' || state, ',') from topup", "auto paid").await;
    browser.open("/credits/auto").await;
    browser.shows("When credits fall below $10.00, buy $20.00 with Visa ending in 4242.").await;
    browser.shows("Paid").await;
    inspector.look("auto-on").await;
    assert_eq!(balance(&browser).await, "$20.00");
    browser.press("Switch it off").await;
    browser.shows("Auto top-up is off.").await;
    inspector.look("auto-off").await;
    assert_eq!(farebox.text("select enabled::text from auto_topup").await, "false");

    // A code: mistyped, right, and once more.
    let made = farebox.cli(&["codes", "create", "--amount", "10"]).await;
    let code = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    browser.open("/credits").await;
    browser.press("Redeem a code").await;
    browser.fill("#code", &code[..code.len() - 1]).await;
    browser.press("Redeem").await;
    browser.shows("five groups of four").await;
    browser.errors().await;
    inspector.look("redeem-mistyped").await;
    browser.fill("#code", &code.to_lowercase()).await;
    browser.press("Redeem").await;
    browser.shows("$10.00 added to").await;
    browser.shows("Redeemed codes").await;
    assert_eq!(balance(&browser).await, "$30.00");
    inspector.look("redeemed").await;
    browser.open("/credits/redeem").await;
    browser.fill("#code", &code).await;
    browser.press("Redeem").await;
    browser.shows("cannot be redeemed").await;
    browser.errors().await;
    inspector.look("redeemed-again").await;
    inspector.visit("auto-history", "/credits").await;
    shop.agrees(&farebox).await;
    inspector.verdict();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_pays_with_crypto_too_early_in_parts_and_late() {
    for rail in Rail::both() {
        let shop = Shop::open().await;
        let env = [shop.options().env, rail.options().env].concat();
        let farebox = Farebox::with(Options { env, ..Options::default() }).await;
        rail.deliver_to(&farebox);
        let ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
        let browser = Browser::start(&farebox.base).await;
        browser.open("/sign-in").await;
        browser.take_cookies(ada.cookies()).await;
        let mut inspector = Inspector::new(&browser);
        let look = |what: &str| format!("crypto-{}-{what}", rail.name());

        // Cards stand open; crypto stands behind its own words.
        browser.open("/credits").await;
        browser.press("Use crypto").await;
        browser.click(&format!("input[name=method][value={}]", rail.name())).await;
        browser.fill("#amount", "20").await;
        browser.shows("Buy $20.00 for $21.05").await;
        browser.fill("#amount", "100").await;
        browser.shows("Buy $100.00 for $105.26").await;
        browser.shows("5% of the total").await;
        inspector.look(&look("quote")).await;
        browser.press("Buy $100.00 for $105.26").await;
        browser.shows("no money moves").await;

        // Back too early: nothing is credited, and the payment page can be reached again.
        browser.press("Back to the shop").await;
        browser.shows("Waiting for the payment").await;
        browser.shows("Send the whole total in one payment").await;
        assert_eq!(balance(&browser).await, "$0.00");
        inspector.look(&look("early")).await;
        browser.press("Go to the payment page").await;
        browser.press("Pay a part").await;
        browser.shows("Sent so far").await;
        browser.press("Back to the shop").await;
        // The processor tells of a part at once, or is asked.
        minutes_pass(&farebox).await;
        browser.shows("$52.63 of $105.26 has been seen").await;
        assert_eq!(balance(&browser).await, "$0.00");
        inspector.look(&look("part")).await;
        browser.press("Go to the payment page").await;
        browser.press("Let the time run out").await;
        browser.press("Back to the shop").await;
        browser.shows("$50.00 added").await;
        browser.shows("$52.63 came in instead of $105.26").await;
        assert_eq!(balance(&browser).await, "$50.00");
        let first = browser.path().await;
        inspector.look(&look("part-credited")).await;

        // The rest comes late, and has a receipt of its own.
        browser.open(&farebox.text("select checkout_url from topup").await).await;
        browser.press("Pay late").await;
        becomes(&farebox, "select count(*)::text from topup where state = 'paid'", "2").await;
        browser.open(&first).await;
        browser.shows("Came in later").await;
        inspector.look(&look("later")).await;
        browser.press("Receipt").await;
        browser.shows("R-000001").await;
        browser.shows("came in instead of").await;
        inspector.look(&look("receipt")).await;
        inspector.visit(&look("history"), "/credits").await;
        rail.agrees(&farebox).await;

        // One that is seen first, and one that expires.
        browser.open("/credits").await;
        browser.press("Use crypto").await;
        browser.click(&format!("input[name=method][value={}]", rail.name())).await;
        browser.fill("#amount", "20").await;
        browser.shows("Buy $20.00 for $21.05").await;
        browser.press("Buy $20.00 for $21.05").await;
        browser.press("Pay, not confirmed yet").await;
        browser.press("Back to the shop").await;
        minutes_pass(&farebox).await;
        browser.shows("The payment has been seen").await;
        inspector.look(&look("seen")).await;
        inspector.verdict();
    }
}
