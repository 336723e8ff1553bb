//! The security of an account in a real browser: an app, recovery codes, and passkeys of a virtual authenticator.

use serde_json::{Value, json};

use super::Browser;
use crate::support::authenticator::App;
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";

async fn start() -> (Farebox, Browser) {
    let farebox = Farebox::with(Options { localhost: true, ..Options::default() }).await;
    let ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    let browser = Browser::start(&farebox.base).await;
    browser.open("/sign-in").await;
    browser.take_cookies(ada.cookies()).await;
    (farebox, browser)
}

/// A device that keeps passkeys and knows whose finger is on it.
async fn authenticator(browser: &Browser) -> String {
    browser.devtools("WebAuthn.enable", json!({})).await;
    let options = json!({ "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
        "hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true });
    let made: Value = browser.devtools("WebAuthn.addVirtualAuthenticator", json!({ "options": options })).await;
    made["authenticatorId"].as_str().expect("an id").to_owned()
}

async fn sign_out(browser: &Browser) {
    browser.open("/settings/security").await;
    browser.click(".person > summary").await;
    browser.press("Sign out").await;
    browser.find("#password").await;
}

async fn show_password(browser: &Browser) {
    browser.open("/sign-in?next=/settings/security").await;
    browser.fill("#email", EMAIL).await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Sign in").await;
    browser.shows("Confirm that it is you").await;
}

async fn enrol(browser: &Browser) -> (App, Vec<String>) {
    browser.open("/settings/security").await;
    browser.press("Set up two-factor sign-in").await;
    browser.find("svg.qr").await;
    let secret = browser.find("#secret").await.text().await.expect("a secret");
    let mut app = App::of(&secret);
    browser.fill("#code", "000 000").await;
    browser.press("Switch it on").await;
    browser.shows("This code is not right").await;
    assert_eq!(browser.find("#secret").await.text().await.expect("a secret"), secret, "a wrong code loses nothing");
    browser.fill("#code", &app.code().await).await;
    browser.press("Switch it on").await;
    browser.shows("Shown this one time").await;
    let codes = browser.find("#codes").await.text().await.expect("codes");
    let codes: Vec<String> = codes.lines().map(|line| line.trim().to_owned()).filter(|line| line.len() == 19).collect();
    assert_eq!(codes.len(), 10);
    let href = browser.find("a[download]").await.attr("href").await.expect("a link").expect("an address");
    assert!(codes.iter().all(|code| href.contains(&code.replace('-', "%2D"))), "the file holds the same codes");
    browser.click("[data-reveal-saved]").await;
    browser.press("Done").await;
    browser.shows("10 of 10").await;
    (app, codes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_and_a_recovery_code_sign_in() {
    let (_farebox, browser) = start().await;
    let (mut app, codes) = enrol(&browser).await;
    sign_out(&browser).await;
    show_password(&browser).await;
    browser.fill("#code", &app.code().await).await;
    browser.press("Sign in").await;
    browser.shows("Where you are signed in").await;
    sign_out(&browser).await;
    show_password(&browser).await;
    browser.press("Use a recovery code").await;
    browser.shows("works this once").await;
    browser.fill("#code", &codes[4].to_uppercase()).await;
    browser.press("Sign in").await;
    browser.shows("9 of 10").await;
    browser.shows("with a recovery code").await;
    sign_out(&browser).await;
    show_password(&browser).await;
    browser.press("Use a recovery code").await;
    browser.fill("#code", &codes[4]).await;
    browser.press("Sign in").await;
    browser.shows("none of your recovery codes").await;
    assert!(browser.errors().await.iter().all(|error| error.contains("422")), "the policy blocks nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_is_added_signs_in_and_stands_for_the_second_factor() {
    let (farebox, browser) = start().await;
    let device = authenticator(&browser).await;
    browser.open("/settings/security").await;
    browser.press("Add your first passkey").await;
    browser.fill("#name", "Test device").await;
    browser.press("Add the passkey").await;
    browser.shows("Your passkey is added").await;
    browser.shows("Test device").await;
    assert_eq!(farebox.text("select count(*)::text from mail where kind = 'passkey_added'").await, "1");
    browser.open("/settings/security/passkeys/new").await;
    browser.press("Add the passkey").await;
    browser.shows("has a passkey of your account already").await;

    sign_out(&browser).await;
    browser.press("Sign in with a passkey").await;
    browser.shows("Make your first call").await;
    browser.open("/settings/security").await;
    browser.shows("with a passkey").await;
    assert_eq!(farebox.text("select (last_used_at is not null)::text from passkey").await, "true");

    let (_app, _codes) = enrol(&browser).await;
    sign_out(&browser).await;
    show_password(&browser).await;
    browser.press("Use a passkey instead").await;
    browser.shows("with the password, with a passkey").await;

    // What was begun runs out: every challenge is too old as soon as it is there.
    forget(
        &farebox,
        "create function late() returns trigger language plpgsql as
        $$ begin new.expires_at := now(); return new; end $$",
    )
    .await;
    forget(&farebox, "create trigger late before insert on passkey_challenge for each row execute function late()")
        .await;
    browser.open("/settings/security/passkeys/new").await;
    browser.devtools("WebAuthn.clearCredentials", json!({ "authenticatorId": device })).await;
    browser.press("Add the passkey").await;
    browser.shows("This took longer than five minutes").await;
    assert_eq!(farebox.text("select count(*)::text from passkey").await, "1");
    forget(&farebox, "drop trigger late on passkey_challenge").await;

    step_up_and_remove(&farebox, &browser).await;
}

async fn forget(farebox: &Farebox, statement: &'static str) {
    sqlx::raw_sql(statement).execute(&farebox.pool).await.expect("the statement");
}

/// The device has lost its key, so nothing but the password and a code remains; here the other device takes over.
async fn step_up_and_remove(farebox: &Farebox, browser: &Browser) {
    browser.open("/settings/security/passkeys/new").await;
    browser.fill("#name", "Second device").await;
    browser.press("Add the passkey").await;
    browser.shows("Second device").await;
    forget(farebox, "update session set authenticated_at = now() - interval '1 hour'").await;
    browser.click("a[aria-label='Remove Test device']").await;
    browser.shows("What comes next could do harm").await;
    browser.press("Use a passkey instead").await;
    browser.shows("Remove this passkey?").await;
    browser.press("Remove the passkey").await;
    browser.shows("The passkey is removed").await;
    assert_eq!(farebox.text("select string_agg(name, ',') from passkey").await, "Second device");
    assert_eq!(farebox.text("select count(*)::text from mail where kind = 'passkey_removed'").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_that_is_too_late_or_of_nobody_signs_nobody_in() {
    let (farebox, browser) = start().await;
    authenticator(&browser).await;
    browser.open("/settings/security/passkeys/new").await;
    browser.press("Add the passkey").await;
    browser.shows("Your passkey is added").await;
    sign_out(&browser).await;
    forget(
        &farebox,
        "create function late() returns trigger language plpgsql as
        $$ begin new.expires_at := now(); return new; end $$",
    )
    .await;
    forget(&farebox, "create trigger late before insert on passkey_challenge for each row execute function late()")
        .await;
    browser.press("Sign in with a passkey").await;
    browser.shows("This took longer than five minutes").await;
    forget(&farebox, "drop trigger late on passkey_challenge").await;
    forget(&farebox, "delete from passkey").await;
    browser.press("Sign in with a passkey").await;
    browser.shows("This passkey could not be checked").await;
    browser.open("/keys").await;
    browser.find("#password").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_everywhere_else_leaves_this_browser_alone() {
    let (farebox, browser) = start().await;
    let mut phone = Visitor::new(&farebox);
    phone.submit("/sign-in", "/sign-in", &[("email", EMAIL), ("password", PASSWORD)]).await;
    assert_eq!(phone.get("/").await.status, 200);
    browser.open("/settings/security").await;
    browser.press("Sign out everywhere else").await;
    browser.shows("is signed out").await;
    assert_eq!(phone.get("/").await.status, 303);
    browser.open("/keys").await;
    browser.shows("No keys yet").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passkeys_stand_beside_the_password_without_an_app() {
    let (_farebox, browser) = start().await;
    authenticator(&browser).await;
    browser.open("/settings/security/passkeys/new").await;
    browser.fill("#name", "Test device").await;
    browser.press("Add the passkey").await;
    browser.shows("Your passkey is added").await;
    browser.press("Use your passkeys for it").await;
    browser.shows("Shown this one time").await;
    browser.click("[data-reveal-saved]").await;
    browser.press("Done").await;
    browser.shows("asks for one of your passkeys").await;
    sign_out(&browser).await;
    show_password(&browser).await;
    browser.press("Use a passkey instead").await;
    browser.shows("with the password, with a passkey").await;
    browser.click("a[aria-label='Remove Test device']").await;
    browser.press("Remove the passkey").await;
    browser.shows("This passkey is your second factor").await;
    assert_eq!(browser.errors().await, Vec::<String>::new(), "a quiet console");
}
