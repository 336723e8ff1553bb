//! From a code to a key, once.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use url::Url;

use super::store;
use crate::audit::Actor;
use crate::base::Origin;
use crate::base::ids::{OrgId, PersonId};
use crate::base::secret::Digest;
use crate::keys::by::By;
use crate::keys::issue::{IssueError, Issued, NewKey, issue};
use crate::keys::key::KeyKind;
use crate::keys::under::{UnderError, issue_under};

/// A key for an app.
#[derive(Debug)]
pub struct Exchanged {
    pub org: OrgId,
    pub issued: Issued,
    pub person: Option<PersonId>,
}

#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// Unknown, used before, or brought by somebody who did not ask for it: all one answer.
    #[error("The code is not valid, or was used before. Ask for another one.")]
    Invalid,
    #[error("The code is older than ten minutes. Ask for another one.")]
    Expired,
    #[error("`code_challenge_method` is not the one that the code was asked with.")]
    OtherMethod,
    #[error("Whoever consented may have no keys here any more, so none was made.")]
    NotAllowed,
    #[error(transparent)]
    Under(UnderError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What an app brings.
#[derive(Clone, Copy, Debug)]
pub struct Brought<'a> {
    pub code: &'a str,
    pub verifier: Option<&'a str>,
    pub method: Option<&'a str>,
    /// The callback, if the app repeats it.
    pub callback: Option<&'a str>,
}

/// Exchanges a code in the caller's transaction, which is to be committed also when this fails: a code is used up by the
/// first try, whatever comes of it, so that nobody tries verifiers.
///
/// # Errors
/// See [`ExchangeError`].
pub async fn exchange(
    conn: &mut PgConnection,
    brought: Brought<'_>,
    now: DateTime<Utc>,
    origin: &Origin,
) -> Result<Exchanged, ExchangeError> {
    let code = store::use_up(conn, &Digest::of(brought.code)).await?.ok_or(ExchangeError::Invalid)?;
    if code.expires_at <= now {
        return Err(ExchangeError::Expired);
    }
    if brought.method.is_some_and(|method| method != code.challenge.method()) {
        return Err(ExchangeError::OtherMethod);
    }
    let elsewhere = brought.callback.is_some_and(|callback| !is_the_same(callback, &code.callback));
    if elsewhere || !code.challenge.is_met_by(brought.verifier) {
        return Err(ExchangeError::Invalid);
    }
    let new = NewKey {
        limits: code.terms.limits,
        expires_at: code.terms.expires_at,
        handed_on: true,
        ..NewKey::named(code.terms.name, KeyKind::Inference)
    };
    let org = code.org;
    let issued = match (code.issued_by, code.person) {
        (Some(issuer), person) => {
            let by = By { actor: Actor::Key(issuer), name: "", origin };
            issue_under(conn, &by, org, issuer, person, now, new).await.map_err(ExchangeError::Under)?
        }
        (None, person) => {
            let actor = person.map_or(Actor::Nobody, Actor::Person);
            let by = By { actor, name: code.person_name.as_deref().unwrap_or_default(), origin };
            issue(conn, &by, org, person, now, new).await.map_err(|error| match error {
                IssueError::Database(error) => ExchangeError::Database(error),
                // What was asked for was checked when it was consented to; the end may have come meanwhile.
                IssueError::Expired => ExchangeError::Expired,
                IssueError::NotAllowed | IssueError::TooMany => ExchangeError::NotAllowed,
            })?
        }
    };
    store::name_key(conn, org, code.id, issued.id).await?;
    Ok(Exchanged { org, issued, person: code.person })
}

/// Whether an app repeats the callback that the code was asked for. That one is stored as an address is written in full, such as
/// with the slash behind a bare host; the app repeats what it sent.
fn is_the_same(brought: &str, stored: &str) -> bool {
    brought == stored || Url::parse(brought).is_ok_and(|url| url.as_str() == stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_the_same_however_it_is_written() {
        for (brought, stored) in [
            ("http://localhost:3000", "http://localhost:3000/"),
            ("http://localhost:3000/", "http://localhost:3000/"),
            ("https://APP.example:443/cb?x=1", "https://app.example/cb?x=1"),
            ("vscode://an.extension/x", "vscode://an.extension/x"),
            ("", ""),
        ] {
            assert!(is_the_same(brought, stored), "{brought}");
        }
        for (brought, stored) in [
            ("http://localhost:3001", "http://localhost:3000/"),
            ("https://app.example/other", "https://app.example/cb"),
            ("https://app.example/cb?x=2", "https://app.example/cb?x=1"),
            ("https://app.example/cb", ""),
            ("", "https://app.example/cb"),
        ] {
            assert!(!is_the_same(brought, stored), "{brought}");
        }
    }
}
