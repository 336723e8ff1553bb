//! Linking an account elsewhere to the one here, taking the link away, and confirming by it who one is.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::prove::Proven;
use super::{Identity, store};
use crate::accounts::mails::{self, Links, Ways};
use crate::accounts::session::{Session, SessionSecret};
use crate::accounts::sign_in::SignInError;
use crate::accounts::{lock_ways_in, step_up, store as people};
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::Origin;
use crate::base::ids::IdentityId;

#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It belongs to another account here.
    #[error("it is linked to another account")]
    Taken,
    /// This account has another one of the same provider.
    #[error("another one of the same provider is linked")]
    Another,
    /// It is not linked to this account.
    #[error("it is not linked")]
    NotLinked,
    /// Nothing would be left to sign in with.
    #[error("it is the only way to sign in")]
    LastWay,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// Links an account elsewhere to that of whoever is signed in. One that is linked already stays so. Its owner is mailed.
///
/// # Errors
/// `Taken` or `Another`.
pub async fn link(
    conn: &mut PgConnection,
    links: &Links,
    session: &Session,
    proven: &Proven,
    label: &str,
    origin: &Origin,
) -> Result<(), LinkError> {
    let person = &session.person;
    let mut tx = conn.begin().await?;
    people::lock_person(&mut tx, person.id).await?;
    if let Some(linked) = store::find(&mut tx, &proven.issuer, &proven.subject).await? {
        return if linked.person == person.id { Ok(()) } else { Err(LinkError::Taken) };
    }
    let id = IdentityId::fresh();
    if !store::insert(&mut tx, id, person.id, proven, false).await? {
        return Err(LinkError::Another);
    }
    mails::ways_changed(&mut tx, links, person, Ways::Linked(label), origin).await?;
    let email = proven.email.as_ref().map(ToString::to_string).unwrap_or_default();
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::IdentityLinked, origin)
        .named(&person.name)
        .on(Target::new("identity", id, label))
        .change(Value::Null, json!({ "issuer": proven.issuer }))
        .note(json!({ "email": email }));
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(())
}

/// Takes a link away. Its owner is mailed.
///
/// # Errors
/// `LastWay` when there is no password, no other link and no passkey; `NotLinked` for one that is not theirs.
pub async fn unlink(
    conn: &mut PgConnection,
    links: &Links,
    session: &Session,
    id: IdentityId,
    label: impl Fn(&Identity) -> String,
    origin: &Origin,
) -> Result<String, LinkError> {
    let person = &session.person;
    let mut tx = conn.begin().await?;
    let ways = lock_ways_in(&mut tx, person.id).await?;
    let identities = store::identities_of(&mut tx, person.id).await?;
    let identity = identities.iter().find(|identity| identity.id == id).ok_or(LinkError::NotLinked)?;
    if ways.is_last() {
        return Err(LinkError::LastWay);
    }
    store::delete(&mut tx, person.id, id).await?;
    let label = label(identity);
    mails::ways_changed(&mut tx, links, person, Ways::Unlinked(&label), origin).await?;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::IdentityUnlinked, origin)
        .named(&person.name)
        .on(Target::new("identity", id, label.as_str()))
        .change(json!({ "issuer": identity.issuer }), Value::Null)
        .note(json!({ "email": identity.email }));
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(label)
}

/// Takes what a provider has just proven as a confirmation of who sits there, if it is linked to their account. `None`
/// where the second factor is still owed.
///
/// # Errors
/// `NotLinked` for anybody else's, and when the session ended meanwhile.
pub async fn confirm(
    conn: &mut PgConnection,
    session: &Session,
    proven: &Proven,
    origin: &Origin,
) -> Result<Option<SessionSecret>, LinkError> {
    let linked = store::find(conn, &proven.issuer, &proven.subject).await?;
    let identity = linked.filter(|linked| linked.person == session.person.id).ok_or(LinkError::NotLinked)?;
    store::touch(conn, identity.id).await?;
    step_up::step_up_elsewhere(conn, session, origin).await.map_err(|error| match error {
        SignInError::Database(error) => LinkError::Database(error),
        SignInError::Internal(error) => LinkError::Internal(error),
        _ => LinkError::NotLinked,
    })
}
