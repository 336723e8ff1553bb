//! Making an operator.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::store;
use crate::accounts::person::Person;
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::secret::{Digest, random_token};
use crate::base::{Origin, Secret};

/// A token for the first operator, while there is none. The one before is worth nothing any more.
///
/// # Errors
/// Database errors only.
pub async fn offer(conn: &mut PgConnection) -> Result<Option<Secret<String>>, sqlx::Error> {
    let mut tx = conn.begin().await?;
    store::lock_claim(&mut tx).await?;
    if store::has_operator(&mut tx).await? {
        return Ok(None);
    }
    let token = random_token();
    store::replace_claim(&mut tx, &Digest::of(token.expose())).await?;
    tx.commit().await?;
    Ok(Some(token))
}

/// Whether a token would make an operator now.
///
/// # Errors
/// Database errors only.
pub async fn is_claimable(conn: &mut PgConnection, token: &str) -> Result<bool, sqlx::Error> {
    store::has_claim(conn, &Digest::of(token)).await
}

/// Makes whoever holds the token the first operator. False when the token was used or is another start's.
///
/// # Errors
/// Database errors only.
pub async fn claim(
    conn: &mut PgConnection,
    person: &Person,
    token: &str,
    origin: &Origin,
) -> Result<bool, sqlx::Error> {
    let mut tx = conn.begin().await?;
    store::lock_claim(&mut tx).await?;
    if !store::take_claim(&mut tx, &Digest::of(token)).await? || store::has_operator(&mut tx).await? {
        return Ok(false);
    }
    make(&mut tx, person, Actor::Person(person.id), origin).await?;
    tx.commit().await?;
    Ok(true)
}

/// Makes somebody an operator from the command line. False when they are one already.
///
/// # Errors
/// Database errors only.
pub async fn make_operator(conn: &mut PgConnection, person: &Person) -> Result<bool, sqlx::Error> {
    let mut tx = conn.begin().await?;
    store::lock_claim(&mut tx).await?;
    store::void_claim(&mut tx).await?;
    let made = make(&mut tx, person, Actor::Operator, &Origin::here()).await?;
    tx.commit().await?;
    Ok(made)
}

async fn make(conn: &mut PgConnection, person: &Person, actor: Actor, origin: &Origin) -> Result<bool, sqlx::Error> {
    if !store::insert_operator(conn, person.id).await? {
        return Ok(false);
    }
    let entry = Entry::new(Chain::House, actor, Action::OperatorMade, origin)
        .named(if actor == Actor::Operator { "" } else { &person.name })
        .on(Target::new("person", person.id, person.name.as_str()))
        .change(Value::Null, json!({ "operator": true }));
    audit::record(conn, entry).await?;
    Ok(true)
}
