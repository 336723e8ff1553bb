//! Connecting an app.

use askama::Template;

use super::common::{Choice, Field};
use super::filters;
use super::shell::Shell;

/// `GET /auth`, and `POST /auth` with mistakes. Fields: `id`, `callback_url`, `code_challenge`, `code_challenge_method`,
/// `name`, `limit`, `reset`, `expires`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/connect.html")]
pub struct Consent {
    pub shell: Shell,
    /// The host that the code is sent to.
    pub app: String,
    /// It runs on the computer of whoever looks at the page.
    pub local: bool,
    /// The code is shown instead of sent.
    pub shows_code: bool,
    /// Whose credits the app would spend.
    pub org_name: String,
    pub callback: String,
    pub challenge: String,
    pub method: String,
    pub form_id: String,
    pub name: Field,
    /// US dollars; empty for none.
    pub limit: Field,
    pub resets: Vec<Choice>,
    pub expiries: Vec<Choice>,
}

/// The answer to `POST /auth` without a callback: the only time that the code is shown.
#[derive(Clone, Template)]
#[template(path = "keys/connect_code.html")]
pub struct Code {
    pub shell: Shell,
    /// The whole code. It must not reach a log.
    pub code: String,
    pub minutes: i64,
}
