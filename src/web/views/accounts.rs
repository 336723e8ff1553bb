//! Pages of people: signing up, signing in, recovering, the profile.

use askama::Template;

use super::common::{Choice, Field, When};
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
    /// Who can sign up; empty when everybody can.
    pub hint: String,
    pub providers: Vec<ProviderButton>,
}

/// After signing up. The same for a new and for a known address.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/sign_up_sent.html")]
pub struct SignUpSent {
    pub page: PublicPage,
    pub email: String,
    /// Such as `24 hours`.
    pub link_lasts: String,
    /// Who can sign up; empty when everybody can. Nobody hears here whether they are among them.
    pub limited: String,
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
    pub providers: Vec<ProviderButton>,
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
    /// A provider has vouched for them; only the code is still owed.
    pub half: bool,
    /// The code may be one of an app; else only a recovery code.
    pub app: bool,
    pub next: String,
    /// False for somebody who signs in elsewhere only.
    pub has_password: bool,
    /// Providers that can confirm it.
    pub providers: Vec<ProviderButton>,
    /// Those that do not ask again: only signing in anew does.
    pub anew: Vec<ProviderButton>,
    /// Whether a passkey does instead.
    pub passkey: bool,
    pub passkey_error: String,
}

/// `GET /step-up/continue`: a form that was kept. Its fields are those of the form that it was.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/kept_form.html")]
pub struct KeptForm {
    pub page: PublicPage,
    /// What was typed, as names and values.
    pub shown: Vec<(String, String)>,
    /// What it does, where that is known.
    pub button: String,
    pub action: String,
    /// The page that the form came from.
    pub back: String,
    pub fields: Vec<(String, String)>,
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
    /// The address of this page for the other kind of code; empty for somebody without an app.
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

/// `GET /settings/email`, and what comes of it. Field: `email`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/email_change.html")]
pub struct EmailChange {
    pub shell: Shell,
    pub current: String,
    pub email: Field,
    /// Where the link was sent; empty before.
    pub sent: String,
    pub link_lasts: String,
}

/// `GET /email/confirm` and `GET /email/revert`. Field: `token`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/email_link.html")]
pub struct EmailLink {
    pub page: PublicPage,
    pub token: String,
    pub action: &'static str,
    pub text: &'static str,
    pub button: &'static str,
    /// Why the link does nothing; empty when it may be used.
    pub problem: String,
}

/// `GET /settings/profile`. Fields: `name`, `theme`, `locale`, `time_zone`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/profile.html")]
pub struct Profile {
    pub shell: Shell,
    pub name: Field,
    pub email: String,
    /// Why the last upload was not taken; empty otherwise.
    pub picture_error: String,
    /// Values `system`, `light`, `dark`.
    pub themes: Vec<Choice>,
    /// IANA names.
    /// Languages, each with its form of dates and times.
    pub locales: Vec<Choice>,
    pub time_zones: Vec<Choice>,
}

/// A button that leads to a provider.
#[derive(Clone, Debug, Default)]
pub struct ProviderButton {
    /// What the form sends as `provider`.
    pub name: String,
    /// What people call it.
    pub label: String,
}

/// A sign-in by a provider that came to nothing: what happened, and a way back.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/identity_problem.html")]
pub struct IdentityProblem {
    pub page: PublicPage,
    pub heading: String,
    pub text: String,
    pub action: String,
    pub href: String,
}

/// An account elsewhere that signs a person in.
#[derive(Clone, Debug, Default)]
pub struct LinkedIdentity {
    pub id: String,
    pub label: String,
    /// Empty when the provider told none.
    pub email: String,
    pub linked: When,
    pub last_used: Option<When>,
    /// False when the operator has taken the provider away.
    pub usable: bool,
    /// Without it nobody could sign in, so it cannot be unlinked.
    pub only_way: bool,
}

/// `GET /settings/sign-in`. Fields: `password`; `provider`; `identity`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/ways.html")]
pub struct WaysToSignIn {
    pub shell: Shell,
    pub email: String,
    pub has_password: bool,
    /// Its value stays empty.
    pub password: Field,
    pub identities: Vec<LinkedIdentity>,
    /// Providers of which none is linked.
    pub linkable: Vec<ProviderButton>,
}

/// `GET /operator/claim?token=`. Field: `token`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "accounts/claim_operator.html")]
pub struct ClaimOperator {
    pub page: PublicPage,
    /// Who is signed in, and becomes the operator.
    pub email: String,
    pub token: String,
    /// True when the link was used, or a later start has made another.
    pub expired: bool,
}
