//! Queries about anchors.

use sqlx::PgConnection;
use uuid::Uuid;

use super::super::anchor::{Anchor, AnchoredHead};

/// Any number that nothing else locks.
const LOCK: i64 = 7_306_204_919;

/// False while another process takes an anchor.
pub async fn lock_anchors(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "locked!""#, LOCK).fetch_one(conn).await
}

pub async fn last_anchor(conn: &mut PgConnection) -> Result<Option<Anchor>, sqlx::Error> {
    sqlx::query_as!(
        Anchor,
        "select number, taken_at as at, digest, signature from audit_anchor order by number desc limit 1",
    )
    .fetch_optional(conn)
    .await
}

/// Whether the last anchor is a day old, or was full.
pub async fn anchor_is_due(conn: &mut PgConnection, full: i64) -> Result<bool, sqlx::Error> {
    let due = sqlx::query_scalar!(
        r#"select a.taken_at < now() - interval '1 day'
            or (select count(*) from audit_anchor_head h where h.anchor = a.number) >= $1 as "due!"
           from audit_anchor a order by a.number desc limit 1"#,
        full,
    )
    .fetch_optional(conn)
    .await?;
    Ok(due.unwrap_or(true))
}

/// The ends of chains that moved since they were last anchored, in order.
pub async fn moved_heads(conn: &mut PgConnection, most: i64) -> Result<Vec<AnchoredHead>, sqlx::Error> {
    sqlx::query_as!(
        AnchoredHead,
        "select c.chain_id as chain, c.seq, c.digest from audit_chain c
         where c.seq > coalesce((select max(h.seq) from audit_anchor_head h where h.chain_id = c.chain_id), 0)
         order by c.chain_id limit $1",
        most,
    )
    .fetch_all(conn)
    .await
}

pub async fn insert_anchor(
    conn: &mut PgConnection,
    anchor: &Anchor,
    heads: &[AnchoredHead],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into audit_anchor (number, taken_at, digest, signature) values ($1, $2, $3, $4)",
        anchor.number,
        anchor.at,
        anchor.digest,
        anchor.signature,
    )
    .execute(&mut *conn)
    .await?;
    let chains: Vec<Uuid> = heads.iter().map(|head| head.chain).collect();
    let seqs: Vec<i64> = heads.iter().map(|head| head.seq).collect();
    let digests: Vec<Vec<u8>> = heads.iter().map(|head| head.digest.clone()).collect();
    sqlx::query!(
        "insert into audit_anchor_head (anchor, chain_id, seq, digest)
         select $1, * from unnest($2::uuid[], $3::bigint[], $4::bytea[])",
        anchor.number,
        &chains,
        &seqs,
        &digests,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Anchors after a number, in order.
///
/// # Errors
/// Database errors only.
pub async fn anchors(conn: &mut PgConnection, after: i64, most: i64) -> Result<Vec<Anchor>, sqlx::Error> {
    sqlx::query_as!(
        Anchor,
        "select number, taken_at as at, digest, signature from audit_anchor
         where number > $1 order by number limit $2",
        after,
        most,
    )
    .fetch_all(conn)
    .await
}

/// What an anchor names, in the order in which it was digested; an anchor has a largest size.
pub async fn anchored_heads(conn: &mut PgConnection, anchor: i64) -> Result<Vec<AnchoredHead>, sqlx::Error> {
    sqlx::query_as!(
        AnchoredHead,
        "select chain_id as chain, seq, digest from audit_anchor_head where anchor = $1 order by chain_id",
        anchor,
    )
    .fetch_all(conn)
    .await
}

/// What an anchor names and the log no longer has; at most a hundred.
pub async fn heads_that_moved_back(conn: &mut PgConnection, anchor: i64) -> Result<Vec<AnchoredHead>, sqlx::Error> {
    sqlx::query_as!(
        AnchoredHead,
        "select h.chain_id as chain, h.seq, h.digest from audit_anchor_head h
         left join audit_entry e on e.chain_id = h.chain_id and e.seq = h.seq
         where h.anchor = $1 and e.digest is distinct from h.digest order by h.chain_id limit 100",
        anchor,
    )
    .fetch_all(conn)
    .await
}
