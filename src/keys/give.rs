//! Giving a key to somebody without an account: a link that works once.
//!
//! Nothing secret is kept meanwhile. The key is there with its limits, but without a secret: that is made when the link
//! is used, and shown to whoever used it.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::by::By;
use super::issue::{IssueError, NewKey, admit, write};
use super::key::{Key, KeyState};
use super::plain_key::PlainKey;
use super::store::{self, FoundClaim};
use crate::audit::{self, Action, Actor, Target};
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::base::secret::random_token;
use crate::base::{Digest, Origin, Secret};

/// Makes a key that waits for whoever uses the link with this token. `None` when the organization has had a key of that
/// id: the same form came twice. The caller's transaction can then only be rolled back.
///
/// # Errors
/// As [`super::issue`].
#[expect(clippy::too_many_arguments, reason = "what issuing takes, and how long the link works")]
pub async fn give(
    conn: &mut PgConnection,
    by: &By<'_>,
    id: KeyId,
    org: OrgId,
    maker: PersonId,
    now: DateTime<Utc>,
    new: NewKey,
    lasts: TimeDelta,
) -> Result<Option<Secret<String>>, IssueError> {
    let new = NewKey { handed_on: true, ..new };
    admit(conn, org, Some(maker), now, &new).await?;
    match write(conn, by, id, org, Some(maker), &new, None).await {
        Ok(()) => {}
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    Ok(Some(link(conn, by, org, (id, new.name.as_str()), now + lasts).await?))
}

#[derive(Debug, thiserror::Error)]
pub enum GiveError {
    #[error("There is no such key.")]
    NotFound,
    #[error("Somebody has claimed this key, so there is no link to make. Rotate it, or give another one.")]
    Claimed,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Makes another link for a key that nobody claimed. The one before no longer works.
///
/// # Errors
/// `NotFound`, `Claimed`, or database errors.
pub async fn give_again(
    conn: &mut PgConnection,
    by: &By<'_>,
    org: OrgId,
    id: KeyId,
    now: DateTime<Utc>,
    lasts: TimeDelta,
) -> Result<Secret<String>, GiveError> {
    let key = store::lock(conn, org, id).await?.ok_or(GiveError::NotFound)?;
    if key.digest.is_some() {
        return Err(GiveError::Claimed);
    }
    Ok(link(conn, by, org, (id, &key.name), now + lasts).await?)
}

async fn link(
    conn: &mut PgConnection,
    by: &By<'_>,
    org: OrgId,
    (id, name): (KeyId, &str),
    until: DateTime<Utc>,
) -> Result<Secret<String>, sqlx::Error> {
    let token = random_token();
    if !store::put_claim(conn, org, id, &Digest::of(token.expose()), until).await? {
        return Err(sqlx::Error::RowNotFound);
    }
    let entry = by.entry(org, Action::KeyOffered).on(Target::new("key", id, name));
    audit::record(conn, entry.change(Value::Null, json!({ "link_works_until": until }))).await?;
    Ok(token)
}

/// Makes the link of a key void. False when there is none that was not used.
///
/// # Errors
/// Database errors only.
pub async fn revoke_link(conn: &mut PgConnection, by: &By<'_>, org: OrgId, id: KeyId) -> Result<bool, sqlx::Error> {
    let Some(key) = store::lock(conn, org, id).await? else { return Ok(false) };
    if !store::delete_claim(conn, org, id).await? {
        return Ok(false);
    }
    let entry = by.entry(org, Action::KeyOfferRevoked).on(Target::new("key", id, key.name));
    audit::record(conn, entry).await?;
    Ok(true)
}

/// Why a link gives no key.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Mistyped, revoked, or another link has taken its place.
    #[error("the link is unknown")]
    Unknown,
    #[error("the link was used")]
    Used(DateTime<Utc>),
    #[error("the link is too old")]
    Late(DateTime<Utc>),
    /// The key or its organization was stopped meanwhile.
    #[error("the key is not given out any more")]
    Withdrawn,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A key that waits behind a link.
pub struct Offer {
    pub key: Key,
    pub org_name: String,
    pub until: DateTime<Utc>,
}

/// What a link would give. Changes nothing: programs that read mail follow links, too.
///
/// # Errors
/// See [`ClaimError`].
pub async fn look(conn: &mut PgConnection, token: &str, now: DateTime<Utc>) -> Result<Offer, ClaimError> {
    let (found, key) = find(conn, token, now).await?;
    Ok(Offer { key, org_name: found.org_name, until: found.expires_at })
}

async fn find(conn: &mut PgConnection, token: &str, now: DateTime<Utc>) -> Result<(FoundClaim, Key), ClaimError> {
    let digest = Digest::of(token);
    let found = store::find_claim(conn, &digest).await?.ok_or(ClaimError::Unknown)?;
    let key = store::lock(conn, found.org, found.key).await?;
    // Again, because somebody may have used or replaced it before the key was ours.
    let found = store::find_claim(conn, &digest).await?.ok_or(ClaimError::Unknown)?;
    if let Some(at) = found.claimed_at {
        return Err(ClaimError::Used(at));
    }
    if found.expires_at <= now {
        return Err(ClaimError::Late(found.expires_at));
    }
    let key = key.filter(|key| !found.refused && key.state(now) == KeyState::Unclaimed);
    Ok((found, key.ok_or(ClaimError::Withdrawn)?))
}

/// A key at the one moment when its text is known, for whoever holds the link.
pub struct Claimed {
    pub plain: PlainKey,
    pub key: Key,
    pub org_name: String,
}

/// Makes the key's secret, in the caller's transaction. The link no longer works after it.
///
/// # Errors
/// See [`ClaimError`].
pub async fn claim(
    conn: &mut PgConnection,
    token: &str,
    now: DateTime<Utc>,
    origin: &Origin,
) -> Result<Claimed, ClaimError> {
    let (found, mut key) = find(conn, token, now).await?;
    let plain = PlainKey::fresh();
    if !store::set_secret(conn, found.org, found.key, &plain).await? {
        return Err(ClaimError::Withdrawn);
    }
    store::mark_claimed(conn, found.org, found.key).await?;
    let by = By { actor: Actor::Nobody, name: "", origin };
    let entry = by.entry(found.org, Action::KeyClaimed).on(Target::new("key", found.key, key.name.clone()));
    audit::record(conn, entry).await?;
    (key.digest, key.label) = (Some(plain.digest()), plain.label());
    Ok(Claimed { plain, key, org_name: found.org_name })
}
