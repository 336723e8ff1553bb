//! Every query about the audit log. Those about its anchors are in [`anchors`].

mod anchors;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::entry::{Chain, Recorded};
use crate::base::ids::{InvitationId, OrgId, PersonId};

pub use anchors::{
    anchor_is_due, anchored_heads, anchors, heads_that_moved_back, insert_anchor, last_anchor, lock_anchors,
    moved_heads,
};

/// The end of a chain.
pub struct Head {
    pub seq: i64,
    pub digest: Vec<u8>,
    pub now: DateTime<Utc>,
}

/// Locks the end of a chain, which is made if there is none.
pub async fn lock_head(conn: &mut PgConnection, chain: Chain) -> Result<Head, sqlx::Error> {
    sqlx::query!(
        "insert into audit_chain (chain_id, kind) values ($1, $2) on conflict do nothing",
        chain.id(),
        chain.kind(),
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query_as!(
        Head,
        r#"select seq, digest, clock_timestamp() as "now!" from audit_chain where chain_id = $1 for update"#,
        chain.id(),
    )
    .fetch_one(conn)
    .await
}

pub async fn append(conn: &mut PgConnection, entry: &Recorded) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "with moved as (update audit_chain set seq = $2, digest = $13 where chain_id = $1)
         insert into audit_entry (chain_id, seq, occurred_at, actor_kind, actor_id, action, target_kind, target_id,
            before, after, personal, personal_digest, digest)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        entry.chain,
        entry.seq,
        entry.at,
        entry.actor_kind,
        entry.actor_id,
        entry.action,
        entry.target_kind,
        entry.target_id,
        entry.before,
        entry.after,
        entry.personal,
        entry.personal_digest,
        entry.digest,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What of a chain is asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// An action's code, or the part before its dot; empty for all.
    pub action: String,
    pub actor: Option<Uuid>,
    pub from: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    /// Only entries before this number.
    pub before: Option<i64>,
}

/// Entries of a chain, newest first.
///
/// # Errors
/// Database errors only.
pub async fn page(
    conn: &mut PgConnection,
    chain: Chain,
    filter: &Filter,
    most: i64,
) -> Result<Vec<Recorded>, sqlx::Error> {
    sqlx::query_as!(
        Recorded,
        r#"select chain_id as chain, seq, occurred_at as at, actor_kind, actor_id, action, target_kind, target_id,
            before, after, personal, personal_digest, digest
           from audit_entry
           where chain_id = $1
            and ($2 = '' or action = $2 or split_part(action, '.', 1) = $2)
            and ($3::uuid is null or actor_id = $3)
            and ($4::timestamptz is null or occurred_at >= $4)
            and ($5::timestamptz is null or occurred_at < $5)
            and ($6::bigint is null or seq < $6)
           order by seq desc limit $7"#,
        chain.id(),
        filter.action,
        filter.actor,
        filter.from,
        filter.until,
        filter.before,
        most,
    )
    .fetch_all(conn)
    .await
}

/// The newest entries of a chain with one of these actions.
///
/// # Errors
/// Database errors only.
pub async fn latest(
    conn: &mut PgConnection,
    chain: Chain,
    actions: &[super::Action],
    most: i64,
) -> Result<Vec<Recorded>, sqlx::Error> {
    let codes: Vec<String> = actions.iter().map(|action| action.code().to_owned()).collect();
    sqlx::query_as!(
        Recorded,
        r#"select chain_id as chain, seq, occurred_at as at, actor_kind, actor_id, action, target_kind, target_id,
            before, after, personal, personal_digest, digest
           from audit_entry where chain_id = $1 and action = any($2) order by seq desc limit $3"#,
        chain.id(),
        &codes,
        most,
    )
    .fetch_all(conn)
    .await
}

/// Forgets names, addresses and devices in what a person did, in every chain, in the person's own chain, in what was done to
/// them, and in what tells of invitations that went to them. Their own organization is called as they are: so also in its
/// chain, and in what was done to it. Entries about what a second operator agrees to named people in versions before.
///
/// # Errors
/// Database errors only.
pub async fn erase_person(
    conn: &mut PgConnection,
    person: PersonId,
    own: Option<OrgId>,
    invitations: &[InvitationId],
) -> Result<u64, sqlx::Error> {
    let invitations: Vec<String> = invitations.iter().map(ToString::to_string).collect();
    let done = sqlx::query!(
        "update audit_entry set personal = null
         where personal is not null and (chain_id = $1 or actor_id = $1 or (target_kind = 'person' and target_id = $2)
            or (target_kind = 'invitation' and target_id = any($3))
            or chain_id = $4 or (target_kind = 'organization' and target_id = $5)
            or (target_kind = 'confirmation' and strpos(after, $2) > 0))",
        person.0,
        person.to_string(),
        &invitations,
        own.map(|org| org.0),
        own.map(|org| org.to_string()),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Forgets names, addresses and devices in everything that a chain tells.
///
/// # Errors
/// Database errors only.
pub async fn erase_chain(conn: &mut PgConnection, chain: Chain) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "update audit_entry set personal = null where personal is not null and chain_id = $1",
        chain.id(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// A chain and where it says that it ends.
pub struct ChainEnd {
    pub chain: Uuid,
    pub seq: i64,
    pub digest: Vec<u8>,
}

/// Chains after one, in order; `None` for the first.
pub async fn chains(conn: &mut PgConnection, after: Option<Uuid>, most: i64) -> Result<Vec<ChainEnd>, sqlx::Error> {
    sqlx::query_as!(
        ChainEnd,
        "select chain_id as chain, seq, digest from audit_chain
         where $1::uuid is null or chain_id > $1 order by chain_id limit $2",
        after,
        most,
    )
    .fetch_all(conn)
    .await
}

/// Entries of a chain in their order, after a number.
pub async fn entries(
    conn: &mut PgConnection,
    chain: Uuid,
    after: i64,
    most: i64,
) -> Result<Vec<Recorded>, sqlx::Error> {
    sqlx::query_as!(
        Recorded,
        r#"select chain_id as chain, seq, occurred_at as at, actor_kind, actor_id, action, target_kind, target_id,
            before, after, personal, personal_digest, digest
           from audit_entry where chain_id = $1 and seq > $2 order by seq limit $3"#,
        chain,
        after,
        most,
    )
    .fetch_all(conn)
    .await
}

/// Chains that have entries but no end.
pub async fn endless(conn: &mut PgConnection, most: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "select distinct e.chain_id from audit_entry e
         where not exists (select from audit_chain c where c.chain_id = e.chain_id) limit $1",
        most,
    )
    .fetch_all(conn)
    .await
}
