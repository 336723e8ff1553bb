//! Pages of people: signing up, signing in, recovering, the profile.

use askama::Template;

use super::common::{Choice, Field};
use super::filters;
use super::shell::{PublicPage, Shell};

/// `GET /sign-up`, and `POST /sign-up` with mistakes. Fields: `name`, `email`, `password`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/sign_up.html")]
pub struct SignUp {
    pub page: PublicPage,
    pub name: Field,
    pub email: Field,
    /// Its value stays empty: a password is never sent back.
    pub password: Field,
    /// Why nobody can sign up here; empty when people can.
    pub closed: String,
}

/// After signing up. The same for a new and for a known address.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/sign_up_sent.html")]
pub struct SignUpSent {
    pub page: PublicPage,
    pub email: String,
    /// Such as `24 hours`.
    pub link_lasts: String,
}

/// `GET /sign-in`, and `POST /sign-in` with mistakes. Fields: `email`, `password`, `next`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/sign_in.html")]
pub struct SignIn {
    pub page: PublicPage,
    pub email: Field,
    /// Its value stays empty.
    pub password: Field,
    /// The local path to go to afterwards, or empty.
    pub next: String,
    pub sign_up_open: bool,
    /// Whether passkeys can sign in here.
    pub passkeys: bool,
    /// What went wrong with a passkey; empty when nothing did.
    pub passkey_error: String,
}

/// `GET /step-up`. Fields: `password`, `code`, `next`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/step_up.html")]
pub struct StepUp {
    pub page: PublicPage,
    /// Who is signed in.
    pub email: String,
    pub password: Field,
    /// Asked for where two-factor sign-in is on.
    pub code: Option<Field>,
    pub next: String,
    /// Whether a passkey does instead.
    pub passkey: bool,
    pub passkey_error: String,
}

/// `GET /sign-in/second`. Fields: `code`, `next`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/second.html")]
pub struct Second {
    pub page: PublicPage,
    /// Who showed the first factor.
    pub email: String,
    /// Its value stays empty.
    pub code: Field,
    pub next: String,
    /// A recovery code is asked for, not one of the app.
    pub recovery: bool,
    /// The address of this page for the other kind of code.
    pub other_href: String,
    /// Whether a passkey does instead.
    pub passkey: bool,
    pub passkey_error: String,
}

/// `GET /recover`. Field: `email`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/recover.html")]
pub struct Recover {
    pub page: PublicPage,
    pub email: Field,
}

/// After asking for a link. The same whether there is such an account or not.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/recover_sent.html")]
pub struct RecoverSent {
    pub page: PublicPage,
    pub email: String,
    pub link_lasts: String,
}

/// `GET /reset?token=`. Fields: `token`, `password`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/reset_password.html")]
pub struct ResetPassword {
    pub page: PublicPage,
    pub token: String,
    pub password: Field,
    /// True when the link was used or is too old.
    pub expired: bool,
}

/// `GET /verify?token=`. Fields: `token`, `password`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/verify.html")]
pub struct Verify {
    pub page: PublicPage,
    pub token: String,
    pub password: Field,
    /// True when the link was used or is too old.
    pub expired: bool,
}

/// `GET /settings/profile`. Fields: `name`, `theme`, `time_zone`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/profile.html")]
pub struct Profile {
    pub shell: Shell,
    pub name: Field,
    pub email: String,
    /// Values `system`, `light`, `dark`.
    pub themes: Vec<Choice>,
    /// IANA names.
    pub time_zones: Vec<Choice>,
}
