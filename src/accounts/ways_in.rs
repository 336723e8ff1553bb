//! What somebody can sign in with.

use sqlx::PgConnection;

use super::{oidc, passkeys, store};
use crate::base::ids::PersonId;

/// How many of each a person has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaysIn {
    pub password: bool,
    /// Accounts elsewhere.
    pub identities: usize,
    pub passkeys: usize,
}

impl WaysIn {
    /// Whether taking one away would leave none.
    #[must_use]
    pub fn is_last(self) -> bool {
        usize::from(self.password) + self.identities + self.passkeys <= 1
    }
}

/// Counts them. The person is locked, so that of two that are taken away at once the second sees what the first left.
///
/// # Errors
/// Database errors only.
pub async fn lock_ways_in(tx: &mut PgConnection, person: PersonId) -> Result<WaysIn, sqlx::Error> {
    store::lock_person(tx, person).await?;
    let stored = store::find_person(tx, person).await?;
    Ok(WaysIn {
        password: stored.is_some_and(|person| person.password_hash.is_some()),
        identities: oidc::identities_of(tx, person).await?.len(),
        passkeys: passkeys::list(tx, person).await?.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_any_kind_is_enough_to_take_another_away() {
        let of = |password, identities, passkeys| WaysIn { password, identities, passkeys }.is_last();
        assert!(of(true, 0, 0) && of(false, 1, 0) && of(false, 0, 1));
        assert!(!of(true, 1, 0) && !of(true, 0, 1) && !of(false, 1, 1) && !of(false, 2, 0) && !of(false, 0, 2));
    }
}
