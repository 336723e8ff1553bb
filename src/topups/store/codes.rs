//! Codes, their batches, and what was redeemed.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use crate::base::ids::{BatchId, OrgId, PersonId, RedemptionId};
use crate::base::{Digest, Usd};
use crate::db::interval;
use crate::ledger::Drift;
use crate::topups::codes::{Batch, MadeBy, NewBatch};

/// A code as its row and its batch say, locked.
pub struct CodeRow {
    pub batch: BatchId,
    pub amount: Usd,
    pub uses: i32,
    pub uses_per_code: i32,
    pub uses_per_org: i32,
    /// Neither revoked nor expired, by the database's clock.
    pub valid: bool,
}

impl CodeRow {
    /// Whether it may be used once more.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.valid && self.uses < self.uses_per_code
    }
}

/// One use of a code.
pub struct Redemption {
    pub id: RedemptionId,
    pub batch: BatchId,
    pub digest: Digest,
    pub amount: Usd,
}

/// One use of a code, as the history of credits shows it.
#[derive(Clone, Debug)]
pub struct RedemptionView {
    pub amount: Usd,
    /// Who redeemed it.
    pub by: Option<String>,
    pub at: DateTime<Utc>,
}

/// A count of a form that the database keeps as an `integer`.
fn int(count: u32) -> Result<i32, sqlx::Error> {
    i32::try_from(count).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

pub async fn insert_batch(
    conn: &mut PgConnection,
    id: BatchId,
    new: &NewBatch,
    by: MadeBy,
    digests: &[Digest],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into code_batch (id, amount, codes, uses_per_code, uses_per_org, expires_at, note, made_by, confirmed_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        id.0,
        new.amount.amount(),
        int(new.codes)?,
        int(new.uses_per_code)?,
        int(new.uses_per_org)?,
        new.expires_at,
        new.note,
        by.maker.map(|person| person.0),
        by.confirmed_by.map(|person| person.0),
    )
    .execute(&mut *conn)
    .await?;
    let digests: Vec<Vec<u8>> = digests.iter().map(|digest| digest.as_bytes().to_vec()).collect();
    sqlx::query!("insert into redemption_code (digest, batch_id) select unnest($1::bytea[]), $2", &digests, id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// What the codes that an operator made alone lately may give away, used or not, revoked or not.
///
/// # Errors
/// Database errors only.
pub async fn made_alone(conn: &mut PgConnection, person: PersonId, within: TimeDelta) -> Result<Usd, sqlx::Error> {
    // No sum of the largest batches is beyond what an amount holds.
    sqlx::query_scalar!(
        r#"select least(coalesce(sum(amount * codes * uses_per_code), 0), 999999999999) as "sum!: Usd" from code_batch
           where made_by = $1 and confirmed_by is null and created_at > now() - $2::interval"#,
        person.0,
        interval(within),
    )
    .fetch_one(conn)
    .await
}

/// Batches, newest first.
///
/// # Errors
/// Database errors only.
pub async fn batches(conn: &mut PgConnection, limit: i64) -> Result<Vec<Batch>, sqlx::Error> {
    sqlx::query_as!(
        Batch,
        r#"select b.id as "id: BatchId", b.amount as "amount: Usd", b.codes, b.uses_per_code, b.uses_per_org,
            b.expires_at, b.note, b.created_at, b.revoked_at, count(r.id) as "used!",
            coalesce(sum(r.amount), 0) as "given!: Usd"
           from code_batch b left join redemption r on r.batch_id = b.id
           group by b.id order by b.id desc limit $1"#,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// One batch; `None` when there is none.
///
/// # Errors
/// Database errors only.
pub async fn batch(conn: &mut PgConnection, id: BatchId) -> Result<Option<Batch>, sqlx::Error> {
    sqlx::query_as!(
        Batch,
        r#"select b.id as "id: BatchId", b.amount as "amount: Usd", b.codes, b.uses_per_code, b.uses_per_org,
            b.expires_at, b.note, b.created_at, b.revoked_at, count(r.id) as "used!",
            coalesce(sum(r.amount), 0) as "given!: Usd"
           from code_batch b left join redemption_code c on c.batch_id = b.id left join redemption r on r.digest = c.digest
           where b.id = $1 group by b.id"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// `None` when there is no such batch; false when it was revoked before.
pub async fn revoke_batch(conn: &mut PgConnection, id: BatchId) -> Result<Option<bool>, sqlx::Error> {
    let before = sqlx::query_scalar!("select revoked_at from code_batch where id = $1 for update", id.0)
        .fetch_optional(&mut *conn)
        .await?;
    let Some(revoked_at) = before else { return Ok(None) };
    sqlx::query!("update code_batch set revoked_at = coalesce(revoked_at, now()) where id = $1", id.0)
        .execute(conn)
        .await?;
    Ok(Some(revoked_at.is_none()))
}

/// A code and its batch. The code is locked until the transaction ends; the batch cannot be revoked until then.
pub async fn lock_code(conn: &mut PgConnection, digest: &Digest) -> Result<Option<CodeRow>, sqlx::Error> {
    sqlx::query_as!(
        CodeRow,
        r#"select b.id as "batch: BatchId", b.amount as "amount: Usd", c.uses, b.uses_per_code, b.uses_per_org,
            (b.revoked_at is null and (b.expires_at is null or b.expires_at > clock_timestamp())) as "valid!"
           from redemption_code c join code_batch b on b.id = c.batch_id
           where c.digest = $1 for update of c for share of b"#,
        digest.as_bytes(),
    )
    .fetch_optional(conn)
    .await
}

pub async fn count_use(conn: &mut PgConnection, digest: &Digest) -> Result<(), sqlx::Error> {
    sqlx::query!("update redemption_code set uses = uses + 1 where digest = $1", digest.as_bytes())
        .execute(conn)
        .await?;
    Ok(())
}

/// How often an organization used codes of a batch.
pub async fn count_redemptions(conn: &mut PgConnection, org: OrgId, batch: BatchId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from redemption where org_id = $1 and batch_id = $2"#,
        org.0,
        batch.0,
    )
    .fetch_one(conn)
    .await
}

pub async fn redemption(
    conn: &mut PgConnection,
    org: OrgId,
    id: RedemptionId,
) -> Result<Option<Redemption>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select batch_id as "batch: BatchId", digest, amount as "amount: Usd" from redemption
           where org_id = $1 and id = $2"#,
        org.0,
        id.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(|row| {
        Some(Redemption { id, batch: row.batch, digest: Digest::from_bytes(&row.digest)?, amount: row.amount })
    }))
}

/// False when an organization that is not this one has a redemption of this id.
pub async fn insert_redemption(
    conn: &mut PgConnection,
    org: OrgId,
    new: &Redemption,
    by: PersonId,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into redemption (org_id, id, batch_id, digest, amount, redeemed_by) values ($1, $2, $3, $4, $5, $6)
         on conflict do nothing",
        org.0,
        new.id.0,
        new.batch.0,
        new.digest.as_bytes(),
        new.amount.amount(),
        by.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What an organization redeemed, newest first.
///
/// # Errors
/// Database errors only.
pub async fn redemptions(conn: &mut PgConnection, org: OrgId, limit: i64) -> Result<Vec<RedemptionView>, sqlx::Error> {
    sqlx::query_as!(
        RedemptionView,
        r#"select r.amount as "amount: Usd", p.name as "by?", r.created_at as at
           from redemption r left join person p on p.id = r.redeemed_by
           where r.org_id = $1 order by r.id desc limit $2"#,
        org.0,
        limit,
    )
    .fetch_all(conn)
    .await
}

pub async fn count_code_failures(
    conn: &mut PgConnection,
    subject: &str,
    within: TimeDelta,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from code_failure where subject = $1 and occurred_at > now() - $2::interval"#,
        subject,
        interval(within),
    )
    .fetch_one(conn)
    .await
}

pub async fn insert_code_failures(conn: &mut PgConnection, subjects: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query!("insert into code_failure (subject) select unnest($1::text[])", subjects).execute(&mut *conn).await?;
    // Kept only as long as they count.
    sqlx::query!("delete from code_failure where occurred_at < now() - interval '1 hour'").execute(conn).await?;
    Ok(())
}

/// An audit reports this many findings of a kind at most.
const MAX_FINDINGS: i64 = 100;

/// Where uses, redemptions and transfers do not say the same.
///
/// # Errors
/// Database errors only.
pub async fn drifted_codes(conn: &mut PgConnection) -> Result<Vec<Drift>, sqlx::Error> {
    let uses = sqlx::query!(
        r#"select encode(c.digest, 'hex') as "code!", c.uses as "counted!", coalesce(r.times, 0) as "redeemed!"
           from redemption_code c
           left join (select digest, count(*) as times from redemption group by digest) r using (digest)
           where c.uses <> coalesce(r.times, 0) limit $1"#,
        MAX_FINDINGS,
    )
    .fetch_all(&mut *conn)
    .await?;
    let money = sqlx::query!(
        r#"select coalesce(t.reference, r.reference) as "reference!", coalesce(r.amount, 0) as "redeemed!: Usd",
            coalesce(t.amount, 0) as "posted!: Usd"
           from (select reference, amount from transfer where code = 'redeem') t
           full join (
              select 'rdm_' || replace(id::text, '-', '') as reference, amount from redemption
           ) r on r.reference = t.reference
           where t.amount is distinct from r.amount limit $1"#,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await?;
    let uses = uses.into_iter().map(|row| Drift {
        rule: "uses of a code = its redemptions",
        subject: format!("the code with the digest {}", row.code),
        expected: row.redeemed.to_string(),
        found: row.counted.to_string(),
    });
    let money =
        money.into_iter().map(|row| Drift::of("redeem transfer = redemption", row.reference, row.redeemed, row.posted));
    Ok(uses.chain(money).collect())
}
