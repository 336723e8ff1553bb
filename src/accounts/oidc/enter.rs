//! Signing in, or up, with an account elsewhere.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::prove::Proven;
use super::store;
use crate::accounts::person::clean_name;
use crate::accounts::policy::SignUpRules;
use crate::accounts::session::Session;
use crate::accounts::{Factor, Finished, Links, Person, SignInError, finish, sign_out, store as people};
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::ids::{IdentityId, PersonId};
use crate::base::{EmailAddress, Origin};

/// By which door somebody comes.
#[derive(Clone, Copy, Debug)]
pub struct Through<'a> {
    /// The provider's name.
    pub provider: &'a str,
    pub rules: &'a SignUpRules,
    pub links: &'a Links,
    pub origin: &'a Origin,
    /// The session that this browser had before. It ends.
    pub before: Option<&'a Session>,
}

/// What came of it.
#[derive(Debug)]
pub enum Entered {
    In(Finished),
    /// The provider does not vouch for an address, so no account can be made.
    Unproven,
    /// The address belongs to an account that is not linked.
    Known,
    /// The operator does not let this address sign up.
    NotAdmitted,
}

/// Goes on with whoever the identity belongs to, to a session or to the second factor, and makes an account for one that nobody has.
///
/// # Errors
/// `Frozen`; database errors, and a mail that cannot be written.
pub async fn enter(conn: &mut PgConnection, proven: &Proven, through: Through<'_>) -> Result<Entered, SignInError> {
    let mut tx = conn.begin().await?;
    let person = match store::find(&mut tx, &proven.issuer, &proven.subject).await? {
        Some(identity) => {
            store::touch(&mut tx, identity.id).await?;
            people::find_person(&mut tx, identity.person).await?.ok_or(sqlx::Error::RowNotFound)?
        }
        None => match sign_up(&mut tx, proven, through).await? {
            Ok(person) => person,
            Err(refused) => return Ok(refused),
        },
    };
    if let Some(before) = through.before {
        sign_out(&mut tx, before, through.origin).await?;
    }
    let finished = finish(&mut tx, through.links, &person, Factor::Provider, through.origin).await?;
    if let (Finished::Signed(secret), Some(at)) = (&finished, proven.authenticated_at) {
        people::set_authenticated_at(&mut tx, &secret.digest(), at).await?;
    }
    tx.commit().await?;
    Ok(Entered::In(finished))
}

async fn sign_up(
    conn: &mut PgConnection,
    proven: &Proven,
    through: Through<'_>,
) -> Result<Result<Person, Entered>, sqlx::Error> {
    let Some(email) = proven.email.as_ref().filter(|_| proven.email_verified) else {
        return Ok(Err(Entered::Unproven));
    };
    let known = people::find_by_email(conn, email).await?;
    if known.as_ref().is_some_and(|person| person.verified_at.is_some()) {
        return Ok(Err(Entered::Known));
    }
    if !through.rules.admit(conn, email).await? {
        return Ok(Err(Entered::NotAdmitted));
    }
    let name = name_of(proven, email);
    let person = match known {
        Some(person) if people::adopt_unverified(conn, person.id, &name).await? => person.id,
        Some(_) => return Ok(Err(Entered::Known)),
        None => {
            let id = PersonId::fresh();
            if !people::insert_person(conn, id, email, &name, None, true).await? {
                return Ok(Err(Entered::Known));
            }
            id
        }
    };
    if !store::insert(conn, IdentityId::fresh(), person, proven, true).await? {
        // Another request of the same person was faster by a moment, and its account is there now.
        return Ok(Err(Entered::Known));
    }
    record(conn, Action::SignedUp, person, &name, through).await?;
    Ok(Ok(people::find_person(conn, person).await?.ok_or(sqlx::Error::RowNotFound)?))
}

fn name_of(proven: &Proven, email: &EmailAddress) -> String {
    let name = clean_name(&proven.name);
    if name.is_empty() { clean_name(email.local_part()) } else { name }
}

async fn record(
    conn: &mut PgConnection,
    action: Action,
    person: PersonId,
    name: &str,
    through: Through<'_>,
) -> Result<(), sqlx::Error> {
    let entry = Entry::new(Chain::Person(person), Actor::Person(person), action, through.origin)
        .named(name)
        .on(Target::new("person", person, name))
        .change(Value::Null, json!({ "by": through.provider }));
    audit::record(conn, entry).await
}
