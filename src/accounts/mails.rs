//! What people are mailed about their account.

use chrono::TimeDelta;
use sqlx::PgConnection;
use url::Url;

use super::person::Person;
use super::store;
use crate::base::ids::{MailId, PersonId};
use crate::base::secret::{Digest, random_token};
use crate::base::{EmailAddress, Origin, Secret};
use crate::mail::{self, NewMail};
use crate::web::views::emails::{self, LinkMail, Mail, NoticeMail};

const VERIFY_LASTS: TimeDelta = TimeDelta::hours(24);
const RECOVER_LASTS: TimeDelta = TimeDelta::hours(1);

/// Where links in mails lead.
#[derive(Clone, Debug)]
pub struct Links {
    pub base: Url,
}

impl Links {
    fn with_token(&self, path: &str, token: &str) -> String {
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

    fn instance(&self) -> String {
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
    write(conn, "verify_email", email, mail).await
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
    write(conn, "recover", email, mail).await
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
    write(conn, "already_registered", email, mail).await
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
    write(conn, "confirm_email", new, mail).await
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
        footer: "For 7 days this link gives your account the old address back, signs every device out, and lets you \
                 set a new password."
            .into(),
    })?;
    write(conn, "email_changed", old, mail).await
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
    write(conn, "address_is_taken", email, mail).await
}

/// Mails somebody about their account, in the caller's transaction.
///
/// # Errors
/// Database errors, and a template that cannot be written.
pub async fn tell(
    conn: &mut PgConnection,
    kind: &'static str,
    person: &Person,
    mail: &NoticeMail,
) -> anyhow::Result<()> {
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
            "identity_linked",
            format!("{label} can now sign you in"),
            format!("Your account at {label} was linked. It now signs you in to {}.", links.instance()),
        ),
        Ways::Unlinked(label) => (
            "identity_unlinked",
            format!("{label} no longer signs you in"),
            format!("The link to your account at {label} was taken away from {}.", links.instance()),
        ),
        Ways::Password { had: true } => (
            "password_changed",
            "Your password was changed".to_owned(),
            format!(
                "The password of your account at {} was changed. Every other browser was signed out.",
                links.instance()
            ),
        ),
        Ways::Password { had: false } => (
            "password_changed",
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

async fn write(conn: &mut PgConnection, kind: &'static str, to: &EmailAddress, mail: Mail) -> anyhow::Result<()> {
    let event = format!("{kind}:{}", MailId::fresh());
    let new = NewMail { event, kind, to: to.clone(), subject: mail.subject, text: mail.text, html: mail.html };
    Ok(mail::enqueue(conn, new).await?)
}
