//! An authenticator app, and a member who has switched two-factor sign-in on.

use std::time::Duration;

use farebox::base::Clock;
use totp_rs::{Builder, Totp};

use super::visitor::{Visitor, between};

const STEP: u64 = 30;

/// An app that never shows the same code twice.
pub struct App {
    totp: Totp,
    last: u64,
}

impl App {
    /// From the secret as a page shows it.
    pub fn of(secret: &str) -> App {
        let secret: String = secret.split_whitespace().collect();
        let secret = totp_rs::Secret::try_from_base32(secret).expect("a secret");
        App { totp: Builder::new().with_secret(secret).build().expect("an app"), last: 0 }
    }

    /// A code that was not used before: the oldest that is taken now. Waits where each of them was used.
    pub async fn code(&mut self) -> String {
        loop {
            let now = u64::try_from(Clock::system().now().timestamp()).expect("a time") / STEP;
            let step = (self.last + 1).max(now);
            if step <= now + 1 {
                self.last = step;
                return self.again();
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// The same code as before.
    pub fn again(&self) -> String {
        self.totp.generate(self.last * STEP).to_string()
    }
}

/// Switches two-factor sign-in on. Returns the app and the recovery codes.
pub async fn enrol(visitor: &mut Visitor<'_>) -> (App, Vec<String>) {
    let begun = visitor.submit("/settings/security", "/settings/security/two-factor", &[]).await;
    assert_eq!((begun.status, begun.location.as_str()), (303, "/settings/security/two-factor"), "{}", begun.body);
    let page = visitor.get("/settings/security/two-factor").await;
    let mut app = App::of(&between(&page.body, "<code id=\"secret\">", "</code>"));
    let code = app.code().await;
    let page = visitor.submit("/settings/security", "/settings/security/two-factor/confirm", &[("code", &code)]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let codes: Vec<String> = page.body.split("<li><code>").skip(1).map(|rest| between(rest, "", "</code>")).collect();
    assert_eq!(codes.len(), 10, "{}", page.body);
    (app, codes)
}
