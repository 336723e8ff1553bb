//! What people are mailed about their account.

use chrono::TimeDelta;
use sqlx::PgConnection;
use url::Url;

use super::person::Person;
use super::store;
use crate::base::EmailAddress;
use crate::base::Secret;
use crate::base::ids::{MailId, PersonId};
use crate::base::secret::{Digest, random_token};
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

async fn write(conn: &mut PgConnection, kind: &'static str, to: &EmailAddress, mail: Mail) -> anyhow::Result<()> {
    let event = format!("{kind}:{}", MailId::fresh());
    let new = NewMail { event, kind, to: to.clone(), subject: mail.subject, text: mail.text, html: mail.html };
    Ok(mail::enqueue(conn, new).await?)
}
