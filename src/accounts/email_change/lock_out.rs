//! Shutting the doors that somebody who took an account over may have opened for themselves.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::store;
use crate::accounts::person::Person;
use crate::accounts::{oidc, passkeys};

/// What no longer lets anybody in, and what still does.
#[derive(Clone, Debug, Default)]
pub struct LockedOut {
    pub password: bool,
    /// Names of passkeys.
    pub passkeys: Vec<String>,
    /// Issuers of accounts elsewhere.
    pub identities: Vec<String>,
    /// A second factor that was added, which would have kept the owner out.
    pub second: bool,
    pub recovery_codes: u64,
    /// What was there before, in words.
    pub left: Vec<String>,
}

fn passkey(name: &str) -> String {
    format!("passkey \u{201c}{name}\u{201d}")
}

fn identity(issuer: &str) -> String {
    format!("account at {}", issuer.trim_start_matches("https://"))
}

impl LockedOut {
    /// For the log: how much of what, without anything that names somebody.
    #[must_use]
    pub fn counted(&self) -> Value {
        json!({
            "password_forgotten": self.password,
            "passkeys_removed": self.passkeys.len(),
            "identities_unlinked": self.identities.len(),
            "second_factor_removed": self.second,
            "recovery_codes_removed": self.recovery_codes,
        })
    }

    /// For the account's owner.
    #[must_use]
    pub fn in_words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.password.then(|| "password".to_owned()).into_iter().collect();
        words.extend(self.passkeys.iter().map(|name| passkey(name)));
        words.extend(self.identities.iter().map(|issuer| identity(issuer)));
        words.extend(self.second.then(|| "second factor".to_owned()));
        words.extend((self.recovery_codes > 0).then(|| "recovery codes".to_owned()));
        words
    }
}

/// Forgets the password, and everything that was added to the account since a moment and lets somebody in or keeps its owner
/// out. What was there before stays, and is told. The person is locked by the caller.
pub async fn lock_out(
    conn: &mut PgConnection,
    person: &Person,
    since: DateTime<Utc>,
) -> Result<LockedOut, sqlx::Error> {
    let password = store::forget_password(conn, person.id).await?;
    let gone = store::delete_passkeys_since(conn, person.id, since).await?;
    let identities = store::delete_identities_since(conn, person.id, since).await?;
    let (second, recovery_codes) = store::delete_second_since(conn, person.id, since).await?;
    let mut left: Vec<String> =
        passkeys::list(conn, person.id).await?.iter().map(|known| passkey(&known.name)).collect();
    left.extend(oidc::identities_of(conn, person.id).await?.iter().map(|known| identity(&known.issuer)));
    Ok(LockedOut { password, passkeys: gone, identities, second, recovery_codes, left })
}
