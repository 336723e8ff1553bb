//! Writing an entry.

use serde_json::Value;
use sqlx::PgConnection;

use super::entry::{Entry, Personal, Recorded};
use super::store;
use crate::base::Digest;
use crate::base::secret::random_bytes;

/// Texts that came from outside are cut to this.
const MAX_TEXT: usize = 300;

/// Appends an entry in the caller's transaction. It takes the lock of its chain until the commit, so it comes last;
/// a transaction that writes to several chains writes to a person's before an organization's.
///
/// # Errors
/// Database errors only; the caller rolls back, and what it did is not done.
pub async fn record(conn: &mut PgConnection, entry: Entry) -> Result<(), sqlx::Error> {
    let head = store::lock_head(conn, entry.chain).await?;
    let personal = Personal {
        actor: cut(&entry.actor_name),
        target: cut(&entry.target.name),
        ip: cut(&entry.origin.ip),
        user_agent: cut(&entry.origin.user_agent),
        note: entry.note,
        salt: hex::encode(random_bytes()),
    };
    let personal = serde_json::to_string(&personal).unwrap_or_default();
    let mut recorded = Recorded {
        chain: entry.chain.id(),
        seq: head.seq + 1,
        at: head.now,
        actor_kind: entry.actor.kind().to_owned(),
        actor_id: entry.actor.id(),
        action: entry.action.code().to_owned(),
        target_kind: entry.target.kind.to_owned(),
        target_id: entry.target.id,
        before: text(&entry.before),
        after: text(&entry.after),
        personal_digest: Digest::of(&personal).as_bytes().to_vec(),
        personal: Some(personal),
        digest: Vec::new(),
    };
    recorded.digest = recorded.digest_after(&head.digest);
    store::append(conn, &recorded).await
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

fn text(value: &Value) -> String {
    if value.is_null() { String::new() } else { value.to_string() }
}
