//! What people are mailed about their account.

use chrono::TimeDelta;
use sqlx::PgConnection;
use url::Url;

use super::device::Device;
use super::email_change::LockedOut;
use super::person::Person;
use super::store;
use crate::base::ids::{MailId, OrgId, PersonId, SessionId};
use crate::base::secret::{Digest, random_token};
use crate::base::{EmailAddress, Origin, Secret};
use crate::mail::{self, About, Kind, NewMail};
use crate::web::views::emails::{self, LinkMail, Mail, NoticeMail};
use crate::web::{App, OF_ORG};

const VERIFY_LASTS: TimeDelta = TimeDelta::hours(24);
const RECOVER_LASTS: TimeDelta = TimeDelta::hours(1);

/// Where links in mails lead.
#[derive(Clone, Debug)]
pub struct Links {
    pub base: Url,
}

impl Links {
    #[must_use]
    pub fn of(app: &App) -> Links {
        Links { base: app.public_url.clone() }
    }

    /// An address of this instance with a secret in it, for one mail only.
    #[must_use]
    pub fn with_token(&self, path: &str, token: &str) -> String {
        let mut url = self.base.clone();
        url.set_path(path);
        url.query_pairs_mut().append_pair("token", token);
        url.to_string()
    }

    /// An address of this instance without anything secret.
    #[must_use]
    pub fn to(&self, path: &str) -> String {
        let mut url = self.base.clone();
        url.set_path(path);
        url.to_string()
    }

    /// A page of one organization, whichever is open where the link is followed.
    #[must_use]
    pub fn to_page_of(&self, org: OrgId, path: &str) -> String {
        let mut url = self.base.clone();
        url.set_path(path);
        url.query_pairs_mut().append_pair(OF_ORG, &org.to_string());
        url.to_string()
    }

    /// What this installation is called in a sentence.
    #[must_use]
    pub fn instance(&self) -> String {
        format!("Farebox at {}", self.base.host_str().unwrap_or("this server"))
    }
}

pub async fn verify(
    conn: &mut PgConnection,
    links: &Links,
    person: PersonId,
    email: &EmailAddress,
    name: &str,
) -> anyhow::Result<()> {
    let token = random_token();
    store::insert_token(conn, &Digest::of(token.expose()), "verify_email", person, VERIFY_LASTS).await?;
    let mail = emails::verify(&LinkMail {
        name: name.to_owned(),
        instance: links.instance(),
        link: links.with_token("/verify", token.expose()),
        link_lasts: "24 hours".into(),
    })?;
    write(conn, Kind::VerifyEmail, email, mail).await
}

pub async fn recover(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    email: &EmailAddress,
) -> anyhow::Result<()> {
    let token = random_token();
    store::insert_token(conn, &Digest::of(token.expose()), "recover", person.id, RECOVER_LASTS).await?;
    let mail = emails::recover(&LinkMail {
        name: person.name.clone(),
        instance: links.instance(),
        link: links.with_token("/reset", token.expose()),
        link_lasts: "1 hour".into(),
    })?;
    write(conn, Kind::Recover, email, mail).await
}

/// Somebody signed up with an address that has an account: its owner hears of it, the other does not.
pub async fn already_registered(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    email: &EmailAddress,
) -> anyhow::Result<()> {
    let mail = emails::already_registered(&LinkMail {
        name: person.name.clone(),
        instance: links.instance(),
        link: links.to("/sign-in"),
        link_lasts: String::new(),
    })?;
    write(conn, Kind::AlreadyRegistered, email, mail).await
}

/// The link that confirms a new address, to that address.
pub async fn confirm_email(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    new: &EmailAddress,
    token: &Secret<String>,
) -> anyhow::Result<()> {
    let mail = emails::notice(&NoticeMail {
        subject: format!("Confirm your new address for {}", links.instance()),
        name: person.name.clone(),
        lines: vec![format!("open this link to use {new} for your account from now on. You need to be signed in.")],
        action: "Use this address".into(),
        link: links.with_token("/email/confirm", token.expose()),
        footer: "It works once and for 1 hour. If you did not ask for it, ignore this mail: nothing changes.".into(),
        ..NoticeMail::default()
    })?;
    write(conn, Kind::ConfirmEmail, new, mail).await
}

/// Tells the old address what happened, with the way back.
pub async fn email_changed(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    old: &EmailAddress,
    new: &str,
    token: &Secret<String>,
) -> anyhow::Result<()> {
    let mail = emails::notice(&NoticeMail {
        subject: format!("Your address for {} was changed", links.instance()),
        name: person.name.clone(),
        lines: vec!["your account has a new e-mail address. If that was you, there is nothing to do.".into()],
        facts: vec![("Old address".into(), old.to_string()), ("New address".into(), new.to_owned())],
        action: "This was not me".into(),
        link: links.with_token("/email/revert", token.expose()),
        footer: "For 7 days this link gives your account the old address back, signs every device out, locks out who \
                 changed it, and lets you set a new password."
            .into(),
    })?;
    write(conn, Kind::EmailChanged, old, mail).await
}

/// The owner took their address back: with what they set a new password, what no longer lets anybody in, and what still does.
pub async fn address_is_back(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    old: &EmailAddress,
    locked_out: &LockedOut,
) -> anyhow::Result<()> {
    let token = random_token();
    store::insert_token(conn, &Digest::of(token.expose()), "recover", person.id, RECOVER_LASTS).await?;
    let listed = |name: &str, what: Vec<String>| (!what.is_empty()).then(|| (name.to_owned(), what.join(", ")));
    let facts =
        [listed("No longer lets anybody in", locked_out.in_words()), listed("Still signs in", locked_out.left.clone())];
    let mail = emails::notice(&NoticeMail {
        subject: format!("Your address for {} is back", links.instance()),
        name: person.name.clone(),
        lines: vec![
            "your account has this address again, and every device is signed out. Set a new password now.".into(),
        ],
        facts: facts.into_iter().flatten().collect(),
        action: "Set a new password".into(),
        link: links.with_token("/reset", token.expose()),
        footer: "It works once and for 1 hour; \u{201c}Forgot your password?\u{201d} sends another one. Then look at what still signs in, \
                 at your keys, and at the history of your account under Settings, Security."
            .into(),
    })?;
    write(conn, Kind::Recover, old, mail).await
}

/// Somebody wants to use an address that has an account: its owner hears of it, the other does not.
pub async fn address_is_taken(conn: &mut PgConnection, links: &Links, email: &EmailAddress) -> anyhow::Result<()> {
    let mail = emails::notice(&NoticeMail {
        subject: format!("Somebody wanted to use your address for {}", links.instance()),
        lines: vec![
            "Somebody with another account asked to change its e-mail address to this one. It has an account already, \
             so nothing was changed."
                .into(),
        ],
        footer: "If it was you: sign in with this address, or delete the account that has it first.".into(),
        ..NoticeMail::default()
    })?;
    write(conn, Kind::AddressIsTaken, email, mail).await
}

/// Mails somebody about their account, in the caller's transaction.
///
/// # Errors
/// Database errors, and a template that cannot be written.
pub async fn tell(conn: &mut PgConnection, kind: Kind, person: &Person, mail: &NoticeMail) -> anyhow::Result<()> {
    // An address that was valid when the account was made is valid now.
    let Ok(email) = EmailAddress::parse(&person.email) else { return Ok(()) };
    write(conn, kind, &email, emails::notice(mail)?).await
}

/// How the ways to sign in changed. The labels name providers.
#[derive(Clone, Copy, Debug)]
pub enum Ways<'a> {
    Linked(&'a str),
    Unlinked(&'a str),
    Password {
        /// There was one before.
        had: bool,
    },
}

/// Tells somebody that the ways to sign in to their account changed, in case it was not them.
pub async fn ways_changed(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    ways: Ways<'_>,
    origin: &Origin,
) -> anyhow::Result<()> {
    let (kind, subject, line) = match ways {
        Ways::Linked(label) => (
            Kind::IdentityLinked,
            format!("{label} can now sign you in"),
            format!("Your account at {label} was linked. It now signs you in to {}.", links.instance()),
        ),
        Ways::Unlinked(label) => (
            Kind::IdentityUnlinked,
            format!("{label} no longer signs you in"),
            format!("The link to your account at {label} was taken away from {}.", links.instance()),
        ),
        Ways::Password { had: true } => (
            Kind::PasswordChanged,
            "Your password was changed".to_owned(),
            format!(
                "The password of your account at {} was changed. Every other browser was signed out.",
                links.instance()
            ),
        ),
        Ways::Password { had: false } => (
            Kind::PasswordChanged,
            "A password was added to your account".to_owned(),
            format!("Your account at {} has a password now. Every other browser was signed out.", links.instance()),
        ),
    };
    let mut facts = Vec::new();
    if !origin.ip.is_empty() {
        facts.push(("Network address".to_owned(), origin.ip.clone()));
    }
    if !origin.user_agent.is_empty() {
        facts.push(("Browser".to_owned(), origin.user_agent.clone()));
    }
    let mail = emails::notice(&NoticeMail {
        subject,
        name: person.name.clone(),
        lines: vec![line],
        facts,
        action: "See your ways to sign in".into(),
        link: links.to("/settings/sign-in"),
        footer: "If it was not you, set a new password by \u{201c}Forgot your password?\u{201d} at once, and look at this page.".into(),
    })?;
    // An account on the command line may have an address that no mail server takes; then there is nobody to tell.
    match EmailAddress::parse(&person.email) {
        Ok(email) => write(conn, kind, &email, mail).await,
        Err(_) => Ok(()),
    }
}

/// Tells the owner of an account that something about its security changed, and what to do if it was not them.
async fn alert(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    (kind, event): (Kind, String),
    (subject, line): (&str, String),
    facts: Vec<(String, String)>,
) -> anyhow::Result<()> {
    let Ok(to) = EmailAddress::parse(&person.email) else { return Ok(()) };
    let recover = links.to("/recover");
    let mail = emails::notice(&NoticeMail {
        subject: subject.to_owned(),
        name: person.name.clone(),
        lines: vec![line],
        facts,
        action: "Look at the security of your account".into(),
        link: links.to("/settings/security"),
        footer: format!(
            "If this was you, there is nothing to do. If it was not, set a new password at {recover}: that signs \
             everybody out. Then look at what is listed on the page above."
        ),
    })?;
    let new =
        NewMail { event, kind, to, subject: mail.subject, text: mail.text, html: mail.html, about: About::default() };
    Ok(mail::enqueue(conn, new).await?)
}

/// From where something was done.
fn place(links: &Links, origin: &Origin) -> Vec<(String, String)> {
    let device = Device::of(&origin.user_agent, &origin.ip);
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let mut facts = vec![fact("Account of", links.instance()), fact("Browser", device.browser)];
    if !origin.ip.is_empty() {
        facts.push(fact("Network address", origin.ip.clone()));
    }
    facts
}

/// A sign-in from a kind of browser and a network that the person did not use before.
pub async fn new_device(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    session: SessionId,
    device: &Device,
    origin: &Origin,
) -> anyhow::Result<()> {
    let line =
        format!("Somebody signed in to your account from {}, which was not used with it before.", device.browser);
    let event = format!("new_device:{session}");
    alert(conn, links, person, (Kind::NewDevice, event), ("New sign-in to your account", line), place(links, origin))
        .await
}

/// Wrong second factors, by somebody who knows the password. At most one mail a day.
pub async fn second_factor_guessed(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    origin: &Origin,
) -> anyhow::Result<()> {
    let day = store::today(conn).await?;
    let event = format!("second_factor_guessed:{}:{day}", person.id);
    let line =
        "Somebody entered your right password, and then several wrong codes. They did not get in, but unless it \
                was you, your password is known to somebody else: set a new one."
            .to_owned();
    let about = (Kind::SecondFactorGuessed, event);
    alert(conn, links, person, about, ("Somebody knows your password", line), place(links, origin)).await
}

/// Two-factor sign-in was switched on or off.
pub async fn two_factor_changed(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    on: bool,
    origin: &Origin,
) -> anyhow::Result<()> {
    let (kind, subject, line) = if on {
        let line = "From now on signing in asks for a code of your authenticator app. Keep your recovery codes where \
                    you keep passwords: each lets you in once without the app.";
        (Kind::TwoFactorOn, "Two-factor sign-in is on", line)
    } else {
        let line = "From now on your password alone signs in. The app's codes and your recovery codes no longer work.";
        (Kind::TwoFactorOff, "Two-factor sign-in is off", line)
    };
    let event = format!("{}:{}", kind.code(), MailId::fresh());
    alert(conn, links, person, (kind, event), (subject, line.to_owned()), place(links, origin)).await
}

/// A passkey was added or removed.
pub async fn passkey_changed(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    passkey: &str,
    added: bool,
    origin: &Origin,
) -> anyhow::Result<()> {
    let (kind, subject, line) = if added {
        let line = "It signs in to your account without the password.";
        (Kind::PasskeyAdded, "A passkey was added to your account", line)
    } else {
        (Kind::PasskeyRemoved, "A passkey was removed from your account", "It no longer signs in to your account.")
    };
    let mut facts = vec![("Passkey".to_owned(), passkey.to_owned())];
    facts.extend(place(links, origin));
    let event = format!("{}:{}", kind.code(), MailId::fresh());
    alert(conn, links, person, (kind, event), (subject, line.to_owned()), facts).await
}

/// A new password was set with a mailed link.
pub async fn password_reset(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    origin: &Origin,
) -> anyhow::Result<()> {
    let line = "A new password was set with a link that was mailed to this address. Every browser was signed out.";
    let event = format!("password_reset:{}", MailId::fresh());
    let about = (Kind::PasswordReset, event);
    alert(conn, links, person, about, ("Your password was reset", line.to_owned()), place(links, origin)).await
}

async fn write(conn: &mut PgConnection, kind: Kind, to: &EmailAddress, mail: Mail) -> anyhow::Result<()> {
    let event = format!("{}:{}", kind.code(), MailId::fresh());
    let new = NewMail {
        event,
        kind,
        to: to.clone(),
        subject: mail.subject,
        text: mail.text,
        html: mail.html,
        about: About::default(),
    };
    Ok(mail::enqueue(conn, new).await?)
}
