//! What a member's messages from the chat room are booked on.
//!
//! It is a key without a secret: nothing that could be copied, leaked or kept. Who it takes is asked for every message: a
//! session that stands, a membership, a role that may have keys. So it ends with the session, and with all of them.

use sqlx::PgConnection;

use super::authenticate::AuthError;
use super::caller::Caller;
use super::key::Powers;
use super::revoke::may_have_keys;
use super::rules::{PerMinute, Rules};
use super::store::{self, FoundChat};
use crate::base::Usd;
use crate::base::ids::{KeyId, MeterId, OrgId, PersonId};
use crate::ledger::{self, Limits, MeterKind};

/// What it is called in the log.
const NAME: &str = "Chat";

/// What one person's chat may do in one organization, besides the member's own cap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChatTerms {
    /// What it stops at each day; `None`: at nothing of its own.
    pub daily: Option<Usd>,
    /// Messages that it may begin in one minute.
    pub per_minute: PerMinute,
}

impl ChatTerms {
    fn limits(&self) -> Limits {
        Limits { day: self.daily, ..Limits::default() }
    }
}

/// Who calls when this person writes in the chat room of this organization. What is missing for that is made, in the
/// caller's transaction.
///
/// # Errors
/// `Disabled` for a role without keys, `Frozen`, `Closing` and `Stopped` as for keys, `Unavailable`.
pub async fn chat_caller(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
    terms: &ChatTerms,
) -> Result<Caller, AuthError> {
    // Held until the transaction ends, so that nobody is removed between this look and what it makes.
    if !may_have_keys(conn, org, person).await.map_err(AuthError::Unavailable)? {
        return Err(AuthError::Disabled);
    }
    let found = find_or_make(conn, org, person, terms).await.map_err(AuthError::Unavailable)?;
    if found.frozen {
        return Err(AuthError::Frozen);
    }
    if found.closing {
        return Err(AuthError::Closing);
    }
    if found.stopped {
        return Err(AuthError::Stopped);
    }
    Ok(Caller {
        org,
        key: found.id,
        key_name: NAME.to_owned(),
        key_label: String::new(),
        created_by: Some(person),
        meters: vec![MeterId(found.id.0), found.member_meter],
        hash: String::new(),
        provisioning: false,
        powers: Powers { call: true, manage: false },
        issued_by: None,
        issuers_member: None,
        handed_on: false,
        expires_at: None,
        rules: Rules { per_minute: Some(terms.per_minute), ..Rules::default() },
    })
}

async fn find_or_make(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
    terms: &ChatTerms,
) -> Result<FoundChat, sqlx::Error> {
    if let Some(found) = store::chat_key(conn, org, person).await? {
        if found.daily != terms.daily {
            ledger::set_limits(conn, org, MeterId(found.id.0), terms.limits(), false).await?;
        }
        return Ok(found);
    }
    let id = KeyId::fresh();
    // Two tabs may come at once: one makes it, the other one waits for that and finds it.
    if store::insert_chat_key(conn, org, person, id).await? {
        ledger::create_meter(conn, org, MeterId(id.0), MeterKind::Key, terms.limits(), false).await?;
    }
    store::chat_key(conn, org, person).await?.ok_or(sqlx::Error::RowNotFound)
}
