//! Making a published key worthless, and telling those whom it concerns.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::store::{self, Published};
use crate::accounts::Links;
use crate::audit::{self, Action, Actor, Target};
use crate::base::secret::Digest;
use crate::base::{EmailAddress, Origin};
use crate::hooks::{self, EventKind, Payload};
use crate::keys::by::By;
use crate::keys::key::Key;
use crate::keys::plain_key::PlainKey;
use crate::keys::revoke::delete;
use crate::mail::{self, About, Kind, NewMail};
use crate::orgs::{self, MAX_MEMBERS, Role};
use crate::web::views::emails::{self, NoticeMail};

/// Who found it, as the log names them.
const FINDER: &str = "GitHub secret scanning";
/// Longer than any address of a line in a repository.
const MAX_PLACE: usize = 500;

/// What somebody published, and where.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    pub token: &'a str,
    /// Empty where it is not told.
    pub url: &'a str,
}

/// Whether it was a key of this instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Label {
    TruePositive,
    FalsePositive,
}

impl Label {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Label::TruePositive => "true_positive",
            Label::FalsePositive => "false_positive",
        }
    }
}

/// Deletes the key whose secret this is, in the caller's transaction, with an entry in the log and mails to the owners and
/// to whoever made it. Of a secret that was replaced only the rest of its time ends.
///
/// # Errors
/// Database errors, and a mail that cannot be written.
pub async fn revoke(conn: &mut PgConnection, links: &Links, found: Found<'_>) -> anyhow::Result<Label> {
    // What has not even the form of a key costs no look into the database.
    let Some(plain) = PlainKey::parse(found.token) else { return Ok(Label::FalsePositive) };
    let Some(published) = store::find_published(conn, &plain.digest()).await? else {
        return Ok(Label::FalsePositive);
    };
    if !published.live {
        return Ok(Label::TruePositive);
    }
    let Some(key) = super::super::store::lock(conn, published.org, published.id).await? else {
        return Ok(Label::TruePositive);
    };
    let (origin, place) = (Origin::here(), place(found.url));
    let by = By { actor: Actor::System, name: FINDER, origin: &origin };
    let stopped = if published.replaced {
        store::end_grace(conn, key.org, key.id).await?
    } else {
        delete(conn, &by, key.org, key.id).await?
    };
    if stopped {
        let entry = by.entry(key.org, Action::KeyLeaked).on(Target::new("key", key.id, key.name.clone()));
        let after = json!({ "secret": if published.replaced { "replaced" } else { "current" } });
        // An address may name a person.
        audit::record(conn, entry.change(Value::Null, after).note(json!({ "found_at": place }))).await?;
        tell(conn, links, &key, &published, &place, &plain.digest()).await?;
        let payload = Payload::new()
            .with("key", key.id.to_string())
            .with("name", key.name.clone())
            .with("secret", if published.replaced { "replaced" } else { "current" })
            .with("found_at", host(&place));
        let reference = format!("key_leaked:{}", plain.digest().to_hex());
        hooks::emit(conn, key.org, EventKind::KeyLeaked, &reference, payload).await?;
    }
    Ok(Label::TruePositive)
}

/// An address that may stand in a mail; nothing for what is none.
fn place(url: &str) -> String {
    let parsed = url::Url::parse(url).ok().filter(|url| url.scheme() == "https" && url.as_str().len() <= MAX_PLACE);
    parsed.map(|url| url.to_string()).unwrap_or_default()
}

/// The host of such an address, which names nobody, for what is sent on and kept for a while.
fn host(place: &str) -> String {
    url::Url::parse(place).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

async fn tell(
    conn: &mut PgConnection,
    links: &Links,
    key: &Key,
    published: &Published,
    place: &str,
    digest: &Digest,
) -> anyhow::Result<()> {
    let org = orgs::find_org(conn, key.org).await?.unwrap_or_default();
    let (what, action, to) = if published.replaced {
        (
            "The secret that it had before its last rotation was ended at once. The key itself works on.",
            "See your keys",
            "/keys",
        )
    } else {
        ("It was deleted, with every key that it issued, so nobody can use it any more.", "Create another key", "/keys")
    };
    let mut facts = vec![("Key".to_owned(), format!("{} ({})", published.name, published.label))];
    if !place.is_empty() {
        facts.push(("Found at".to_owned(), place.to_owned()));
    }
    let members = orgs::member_rows(conn, key.org, MAX_MEMBERS).await?;
    let readers = members.iter().filter(|member| member.role() == Role::Owner || Some(member.person) == key.created_by);
    for reader in readers {
        // An address that was valid when the account was made is valid now.
        let Ok(email) = EmailAddress::parse(&reader.email) else { continue };
        let mail = emails::notice(&NoticeMail {
            subject: format!("A key of {org} was published and is stopped"),
            name: reader.name.clone(),
            lines: vec![format!("{FINDER} found a key of {org} on a public page. {what}")],
            facts: facts.clone(),
            action: action.to_owned(),
            link: links.to_page_of(key.org, to),
            footer:
                "Look at the key’s calls in the activity log for what you do not know. Take the key out of the place \
                     where it was found, and keep the next one where programs read secrets."
                    .to_owned(),
        })?;
        let event = format!("key_leaked:{}:{}", digest.to_hex(), reader.person);
        let new = NewMail {
            event,
            kind: Kind::KeyLeaked,
            to: email,
            subject: mail.subject,
            text: mail.text,
            html: mail.html,
            about: About::org(key.org),
        };
        mail::enqueue(conn, new).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_web_address_stands_in_a_mail() {
        assert_eq!(place("https://example.com/a?b"), "https://example.com/a?b");
        for odd in [
            "",
            "javascript:alert(1)",
            "http://example.com/",
            "not an address",
            &format!("https://a/{}", "x".repeat(600)),
        ] {
            assert_eq!(place(odd), "", "{odd}");
        }
    }
}
