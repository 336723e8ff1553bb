//! Every page, wide and narrow, light and dark: it fits, axe has nothing to say, the console stays empty.

use std::fmt::Write as _;

use super::town::Town;
use super::{Browser, axe, comfort, overflow};
use crate::support::visitor::mailed_link;

const WIDTHS: [u32; 2] = [1280, 360];
/// Between and below these, a page only has to fit; 320 is what WCAG asks of text that is zoomed to 400 %.
const OTHER_WIDTHS: [u32; 3] = [1000, 700, 320];
const THEMES: [&str; 2] = ["light", "dark"];

/// Looks at pages and gathers what is wrong with them.
pub struct Inspector<'a> {
    pub browser: &'a Browser,
    axe: String,
    wrong: String,
}

impl Inspector<'_> {
    pub async fn visit(&mut self, name: &str, path: &str) {
        self.browser.open(path).await;
        self.look(name).await;
    }

    /// Looks at the page that is open.
    pub async fn look(&mut self, name: &str) {
        axe::load(self.browser, &self.axe).await;
        for width in WIDTHS {
            self.browser.width(width).await;
            for theme in THEMES {
                self.browser.prefer(theme).await;
                overflow::screenshot(self.browser, &format!("{name}-{width}-{theme}")).await;
                // Colours do not depend on the width, so each pair of them is looked at once.
                let seen = width != WIDTHS[0] && theme != THEMES[0];
                let found = if seen { Vec::new() } else { axe::violations(self.browser).await };
                for found in found {
                    let _ = writeln!(self.wrong, "{name} {width} {theme}: {found}");
                }
            }
            for found in overflow::beyond(self.browser).await {
                let _ = writeln!(self.wrong, "{name} {width}: too wide: {found}");
            }
        }
        for width in OTHER_WIDTHS {
            self.browser.width(width).await;
            for found in overflow::beyond(self.browser).await {
                let _ = writeln!(self.wrong, "{name} {width}: too wide: {found}");
            }
        }
        for error in self.browser.errors().await {
            // An error page is meant to be answered with its status.
            if !(name.starts_with("error-") && error.contains("Failed to load resource")) {
                let _ = writeln!(self.wrong, "{name}: console: {error}");
            }
        }
        self.browser.width(WIDTHS[0]).await;
        self.browser.prefer(THEMES[0]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_fits_and_can_be_used_by_everybody() {
    let town = Town::build().await;
    let browser = Browser::start(&town.farebox.base).await;
    let mut inspector = Inspector { browser: &browser, axe: axe::source(), wrong: String::new() };
    strangers(&mut inspector, &town).await;
    browser.take_cookies(&town.newcomer).await;
    for (name, path) in
        [("overview-new", "/"), ("activity-empty", "/activity"), ("keys-empty", "/keys"), ("credits-empty", "/credits")]
    {
        inspector.visit(name, path).await;
    }
    browser.take_cookies(&town.cookies).await;
    members(&mut inspector, &town).await;
    money(&mut inspector, &town).await;
    super::teams::pages(&mut inspector, &town).await;
    let Inspector { wrong, .. } = inspector;
    comfort::check(&browser).await;
    assert!(wrong.is_empty(), "{wrong}");
}

/// Pages for people who are not signed in.
async fn strangers(inspector: &mut Inspector<'_>, town: &Town) {
    let browser = inspector.browser;
    for (name, path) in [("sign-in", "/sign-in"), ("sign-up", "/sign-up"), ("recover", "/recover")] {
        inspector.visit(name, path).await;
    }
    browser.open("/sign-up").await;
    browser.fill("#name", "Grace").await;
    browser.fill("#email", "grace@example.com").await;
    browser.fill("#password", "a few words in a row").await;
    browser.press("Create account").await;
    browser.shows("Check your mail").await;
    inspector.look("sign-up-sent").await;
    inspector.visit("verify", &mailed_link(&town.farebox, "grace@example.com").await).await;
    inspector.visit("mailbox", "/dev/mailbox").await;
    browser.click(".table a.row-link").await;
    inspector.look("mailbox-mail").await;
    browser.open("/recover").await;
    browser.fill("#email", super::town::EMAIL).await;
    browser.press("Send the link").await;
    inspector.look("recover-sent").await;
    inspector.visit("reset", &mailed_link(&town.farebox, super::town::EMAIL).await).await;
    inspector.visit("api-reference", "/docs/api").await;
    inspector.visit("error-404", "/no/such/page").await;
    browser.open("/sign-in").await;
    browser.fill("#email", "nobody@example.com").await;
    browser.fill("#password", "a wrong password").await;
    browser.press("Sign in").await;
    inspector.look("error-sign-in").await;
}

async fn members(inspector: &mut Inspector<'_>, town: &Town) {
    let visits = [
        ("overview", "/".to_owned()),
        ("activity", "/activity?period=30d".to_owned()),
        ("activity-filtered", "/activity?period=month&group=key&status=failed".to_owned()),
        ("activity-nothing", "/activity?period=1h&model=nobody/nothing".to_owned()),
        ("call", town.call("success").await),
        ("call-failed", town.call("failed").await),
        ("call-rejected", town.call("rejected").await),
        ("keys", "/keys".to_owned()),
        ("key-new", "/keys/new".to_owned()),
        ("key-delete", format!("/keys/{}/delete", town.key("Blog plugin").await)),
        ("models", "/models".to_owned()),
        ("model", "/models/sandbox/echo".to_owned()),
        ("profile", "/settings/profile".to_owned()),
        ("error-400", "/activity?status=nonsense".to_owned()),
        ("error-404-member", "/activity/nothing".to_owned()),
    ];
    for (name, path) in visits {
        inspector.visit(name, &path).await;
    }
    let browser = inspector.browser;
    browser.open("/keys/new").await;
    browser.fill("#name", "Zapier").await;
    browser.fill("#limit", "25").await;
    browser.press("Create key").await;
    browser.shows("Shown this one time").await;
    inspector.look("key-issued").await;
    browser.click("[data-reveal-saved]").await;
    browser.press("Done").await;
}

async fn money(inspector: &mut Inspector<'_>, town: &Town) {
    let paid = town.payment("paid").await;
    let pending = town.payment("pending").await;
    let visits = [
        ("credits", "/credits".to_owned()),
        ("credits-quote", "/credits?amount=25&method=sandbox_card".to_owned()),
        ("credits-wrong", "/credits?amount=2,5,0&method=sandbox_card".to_owned()),
        ("receipt", format!("{paid}/receipt")),
        ("payment-paid", paid),
        ("payment-failed", town.payment("failed").await),
        ("checkout", pending.replace("/credits/topups/", "/sandbox/checkout/")),
        ("payment-pending", pending),
    ];
    for (name, path) in visits {
        inspector.visit(name, &path).await;
    }
}
