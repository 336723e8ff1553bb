//! Every page, wide and narrow, light and dark: it fits, axe has nothing to say, the console stays empty.

use std::fmt::Write as _;

use serde_json::json;

use super::town::Town;
use super::{Browser, axe, comfort, overflow};
use crate::support::authenticator::App;
use crate::support::size;
use crate::support::visitor::{Visitor, mailed_link, recovery_link};

const WIDTHS: [u32; 2] = [1280, 360];
/// Between and below these, a page only has to fit; 320 is what WCAG asks of text that is zoomed to 400 %.
const OTHER_WIDTHS: [u32; 3] = [1000, 700, 320];
const THEMES: [&str; 2] = ["light", "dark"];
/// At full size, which rules of axe are asked in each: all, and then what a change of colours can break.
const RULES: [&[&str]; 2] = [&[], &["color-contrast"]];

/// Looks at pages and gathers what is wrong with them.
pub struct Inspector<'a> {
    pub browser: &'a Browser,
    axe: String,
    wrong: String,
    /// `FAREBOX_TEST_PICTURES=1` keeps a picture of each page in `target/screenshots`.
    pictures: bool,
    full: bool,
}

impl<'a> Inspector<'a> {
    pub fn new(browser: &'a Browser) -> Inspector<'a> {
        Inspector {
            browser,
            axe: axe::source(),
            wrong: String::new(),
            pictures: size::pictures(),
            full: size::scale(false, true),
        }
    }

    /// Everything that was wrong with the pages that were seen.
    pub fn verdict(self) {
        assert!(self.wrong.is_empty(), "{}", self.wrong);
    }

    pub async fn visit(&mut self, name: &str, path: &str) {
        self.browser.open(path).await;
        self.look(name).await;
    }

    /// Looks at the page that is open.
    pub async fn look(&mut self, name: &str) {
        axe::load(self.browser, &self.axe).await;
        for width in WIDTHS {
            self.browser.width(width).await;
            for (theme, rules) in THEMES.into_iter().zip(RULES) {
                // All rules in each width and each theme. What is seen in one width only is asked for in one theme only then.
                let asked = match self.full {
                    true => Some(rules),
                    false => ((width == WIDTHS[0]) == (theme == THEMES[0])).then_some(RULES[0]),
                };
                if asked.is_none() && !self.pictures {
                    continue;
                }
                self.browser.prefer(theme).await;
                if self.pictures {
                    overflow::screenshot(self.browser, &format!("{name}-{width}-{theme}")).await;
                }
                if let Some(rules) = asked {
                    for found in axe::violations(self.browser, rules).await {
                        let _ = writeln!(self.wrong, "{name} {width} {theme}: {found}");
                    }
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
    let mut inspector = Inspector::new(&browser);
    strangers(&mut inspector, &town).await;
    browser.open("/sign-in").await;
    browser.press("Continue with Google").await;
    browser.shows("Google cannot be used now").await;
    inspector.look("error-provider-away").await;
    browser.take_cookies(&town.newcomer).await;
    inspector.visit("ways-new", "/settings/sign-in").await;
    for (name, path) in
        [("overview-new", "/"), ("activity-empty", "/activity"), ("keys-empty", "/keys"), ("credits-empty", "/credits")]
    {
        inspector.visit(name, path).await;
    }
    leaving(&mut inspector).await;
    browser.take_cookies(&town.cookies).await;
    town.elsewhere().await;
    inspector.visit("operator-claim", &town.claim()).await;
    inspector.visit("operator-claim-void", "/operator/claim?token=0").await;
    inspector.visit("ways", "/settings/sign-in").await;
    inspector.visit("step-up", "/step-up?next=/keys").await;
    members(&mut inspector, &town).await;
    money(&mut inspector, &town).await;
    super::teams::pages(&mut inspector, &town).await;
    super::programs::pages(&mut inspector, &town).await;
    // Last, because it renews the session.
    security(&mut inspector).await;
    comfort::check(&browser, &town).await;
    inspector.verdict();
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
    inspector.visit("reset", &recovery_link(&town.farebox, super::town::EMAIL).await).await;
    inspector.visit("api-reference", "/docs/api").await;
    inspector.visit("error-404", "/no/such/page").await;
    browser.open("/sign-in").await;
    browser.fill("#email", "nobody@example.com").await;
    browser.fill("#password", "a wrong password").await;
    browser.press("Sign in").await;
    inspector.look("error-sign-in").await;
    refused(inspector, town).await;
}

/// A form whose token is not this browser's, and one guess too many.
async fn refused(inspector: &mut Inspector<'_>, town: &Town) {
    let browser = inspector.browser;
    browser.open("/recover").await;
    browser.value("document.querySelector('[name=csrf_token]').value = 'of another browser'").await;
    browser.fill("#email", "nobody@example.com").await;
    browser.press("Send the link").await;
    browser.shows("Not allowed").await;
    inspector.look("error-403").await;
    // More often than the guesses that one account allows, from the same address.
    let mut guesser = Visitor::new(&town.farebox);
    for _ in 0..10 {
        let fields = [("email", "guessed@example.com"), ("password", "a wrong password")];
        guesser.submit("/sign-in", "/sign-in", &fields).await;
    }
    browser.open("/sign-in").await;
    browser.fill("#email", "guessed@example.com").await;
    browser.fill("#password", "a wrong password").await;
    browser.press("Sign in").await;
    browser.shows("Too many tries").await;
    inspector.look("error-429").await;
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
        ("step-up", "/step-up?next=/keys".to_owned()),
        ("settings-email", "/settings/email".to_owned()),
        ("settings-delete", "/settings/delete".to_owned()),
    ];
    for (name, path) in visits {
        inspector.visit(name, &path).await;
    }
    // Times are longer where they have a half of the day.
    town.read_as("en-US").await;
    for (name, path) in [("activity-us", "/activity?period=24h"), ("keys-us", "/keys"), ("overview-us", "/")] {
        inspector.visit(name, path).await;
    }
    town.read_as("en-GB").await;
    let browser = inspector.browser;
    browser.open("/keys/new").await;
    browser.fill("#name", "Zapier").await;
    browser.fill("#total", "25").await;
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
        ("redeem", "/credits/redeem".to_owned()),
        ("billing", "/settings/billing".to_owned()),
        ("receipt", format!("{paid}/receipt")),
        ("payment-paid", paid),
        ("payment-failed", town.payment("failed").await),
        ("checkout", pending.replace("/credits/topups/", "/sandbox/checkout/")),
        ("payment-pending", pending),
        ("auto-topup", "/credits/auto".to_owned()),
        ("balance-alert", "/settings/balance".to_owned()),
    ];
    for (name, path) in visits {
        inspector.visit(name, &path).await;
    }
}

/// The security page as it is at first, on the way to the second factor, and with everything on it.
async fn security(inspector: &mut Inspector<'_>) {
    let browser = inspector.browser;
    inspector.visit("security-new", "/settings/security").await;
    browser.press("Set up two-factor sign-in").await;
    let secret = browser.find("#secret").await.text().await.expect("a secret");
    inspector.look("two-factor-setup").await;
    let mut app = App::of(&secret);
    browser.fill("#code", &app.code().await).await;
    browser.press("Switch it on").await;
    browser.shows("Shown this one time").await;
    inspector.look("recovery-codes").await;
    browser.click("[data-reveal-saved]").await;
    browser.press("Done").await;
    add_passkey(inspector).await;
    inspector.visit("security", "/settings/security").await;
    inspector.visit("two-factor-off", "/settings/security/two-factor/off").await;
    inspector.visit("step-up-code", "/step-up").await;
    browser.open("/settings/security").await;
    browser.click(".person > summary").await;
    browser.press("Sign out").await;
    browser.fill("#email", super::town::EMAIL).await;
    browser.fill("#password", super::town::PASSWORD).await;
    browser.press("Sign in").await;
    browser.shows("Confirm that it is you").await;
    inspector.look("second").await;
    browser.press("Use a recovery code").await;
    browser.shows("works this once").await;
    inspector.look("second-recovery").await;
    browser.press("Use a code of the app").await;
    browser.fill("#code", &app.code().await).await;
    browser.press("Sign in").await;
    browser.shows("Overview").await;
}

async fn add_passkey(inspector: &mut Inspector<'_>) {
    let browser = inspector.browser;
    browser.devtools("WebAuthn.enable", json!({})).await;
    let options = json!({ "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
        "hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true });
    browser.devtools("WebAuthn.addVirtualAuthenticator", json!({ "options": options })).await;
    inspector.visit("passkey-new", "/settings/security/passkeys/new").await;
    browser.fill("#name", "The laptop in the study, with its own fingerprint reader").await;
    browser.press("Add the passkey").await;
    browser.shows("Your passkey is added").await;
}

/// Somebody deletes their account, and keeps it after all.
async fn leaving(inspector: &mut Inspector<'_>) {
    let browser = inspector.browser;
    browser.open("/settings/delete").await;
    // The session may be older than five minutes by now.
    if browser.text().await.contains("Confirm that it is you") {
        browser.fill("#password", super::town::PASSWORD).await;
        browser.press("Continue").await;
        browser.shows("Type your e-mail address").await;
    }
    browser.fill("#typed", super::town::NEWCOMER).await;
    browser.press("Delete my account").await;
    browser.shows("Your account is closed").await;
    inspector.look("account-leaving").await;
    browser.open("/keys").await;
    browser.shows("Your account is closed").await;
    browser.press("Keep my account").await;
    browser.shows("Your account stays").await;
}
