//! Whether the configured keys open what they should.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::Keyring;
use super::data_key::purpose;
use super::store;

/// Data keys that are read at once.
const PAGE: i64 = 500;

/// A KEK that has sealed data keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    pub kek: String,
    /// Data keys that open.
    pub opened: u64,
    /// Data keys that do not, because the KEK is not configured or they are damaged.
    pub closed: u64,
}

/// Opens every data key and forgets it again; by the KEK that sealed them.
///
/// # Errors
/// Database errors only.
pub async fn check(conn: &mut PgConnection, keyring: &Keyring) -> Result<Vec<Version>, sqlx::Error> {
    let (mut versions, mut after) = (BTreeMap::<String, (u64, u64)>::new(), None);
    loop {
        let page = store::after(conn, after, PAGE).await?;
        // Ids only grow, so this ends.
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        for (org, stored) in page {
            let opens = keyring.unwrap(&purpose(org), &stored.sealed).is_ok();
            let (opened, closed) = versions.entry(stored.sealed.key_id).or_default();
            *(if opens { opened } else { closed }) += 1;
        }
    }
    Ok(versions.into_iter().map(|(kek, (opened, closed))| Version { kek, opened, closed }).collect())
}
