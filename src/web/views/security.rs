//! Pages of a person's own security: the second factor, passkeys, sessions, history.

use askama::Template;

use super::common::{Field, When};
use super::filters;
use super::shell::Shell;

/// A passkey in a list.
#[derive(Clone, Debug, Default)]
pub struct PasskeyRow {
    pub name: String,
    pub added: When,
    pub last_used: Option<When>,
    pub remove_href: String,
}

/// A signed-in browser in a list.
#[derive(Clone, Debug, Default)]
pub struct SessionRow {
    /// Such as `Firefox on Linux`.
    pub browser: String,
    pub ip: String,
    pub signed_in: When,
    pub last_used: When,
    /// The browser that shows this page.
    pub current: bool,
    /// Where its form is sent to.
    pub end_action: String,
}

/// An entry of the history.
#[derive(Clone, Debug, Default)]
pub struct HistoryRow {
    pub what: String,
    /// Such as `with a passkey`; empty for nothing.
    pub how: String,
    pub at: When,
    pub browser: String,
    pub ip: String,
    /// Something that its owner should look at.
    pub bad: bool,
}

/// `GET /settings/security`
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/security.html")]
pub struct Security {
    pub shell: Shell,
    /// Since when two-factor sign-in is on.
    pub on_since: Option<When>,
    /// It asks for a code of an app; else for a passkey.
    pub with_app: bool,
    /// Such as `8 of 10`.
    pub codes_left: String,
    /// True when so few recovery codes are left that new ones should be made.
    pub codes_low: bool,
    pub passkeys: Vec<PasskeyRow>,
    /// Why no passkey can be added; empty when one can.
    pub no_passkeys: String,
    pub sessions: Vec<SessionRow>,
    pub history: Vec<HistoryRow>,
    /// Such as `12 more failed tries were counted, but not listed.`; empty for none.
    pub unlisted: String,
}

/// `GET /settings/security/two-factor`. Field: `code`. No `Debug`: it shows the secret.
#[derive(Clone, Default, Template)]
#[template(path = "accounts/two_factor_setup.html")]
pub struct TwoFactorSetup {
    pub shell: Shell,
    /// Width and path of the QR code.
    pub qr_width: usize,
    pub qr_path: String,
    /// In groups of four.
    pub secret: String,
    pub code: Field,
}

/// The codes, this one time. No `Debug`: they are secrets.
#[derive(Clone, Default, Template)]
#[template(path = "accounts/recovery_codes.html")]
pub struct RecoveryCodes {
    pub shell: Shell,
    pub codes: Vec<String>,
    /// A `data:` address of the same as text.
    pub download_href: String,
    pub file_name: String,
}

/// A question before something that cannot be taken back.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/security_confirm.html")]
pub struct Confirm {
    pub shell: Shell,
    pub text: String,
    pub action: String,
    pub button: String,
    pub danger: bool,
    pub keep: String,
}

/// `GET /settings/security/passkeys/new`. Field: `name`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/passkey_new.html")]
pub struct PasskeyNew {
    pub shell: Shell,
    pub name: Field,
    /// What went wrong with the last try; empty when nothing did.
    pub error: String,
}
