//! What is to be sent, who is sending it, and what became of it.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::super::send::Outcome;
use crate::base::ids::{DataKeyId, DeliveryId, HookEventId, HookId, OrgId};

/// Any number that nothing else locks.
const LOCK: i64 = 7_306_204_967;

/// False when the event was written before.
pub async fn insert_event(
    conn: &mut PgConnection,
    org: OrgId,
    id: HookEventId,
    kind: &str,
    reference: &str,
    body: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into hook_event (org_id, id, kind, reference, body) values ($1, $2, $3, $4, $5)
         on conflict (org_id, reference) do nothing",
        org.0,
        id.0,
        kind,
        reference,
        body,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn insert_deliveries(
    conn: &mut PgConnection,
    org: OrgId,
    event: HookEventId,
    hooks: &[HookId],
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = hooks.iter().map(|_| DeliveryId::fresh().0).collect();
    let hooks: Vec<Uuid> = hooks.iter().map(|hook| hook.0).collect();
    sqlx::query!(
        "insert into hook_delivery (org_id, id, hook_id, event_id)
         select $1, x.id, x.hook, $2 from unnest($3::uuid[], $4::uuid[]) as x (id, hook)",
        org.0,
        event.0,
        &ids,
        &hooks,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether there is anything to send. What waits for an address that was switched off at that moment is not. The moment is
/// that of the statement: of one that is looked up anew for each row, no index knows.
pub async fn is_due(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (
            select from hook_delivery d
            -- Its limit keeps the planner from reading all addresses for a few.
            cross join lateral (
                select from hook h where h.org_id = d.org_id and h.id = d.hook_id and h.disabled_at is null limit 1
            ) switched_on
            where d.state = 'pending' and d.next_at <= statement_timestamp()
           ) as "due!""#
    )
    .fetch_one(conn)
    .await
}

/// One process claims at a time, so that the limits are those of all processes together.
pub async fn lock_claims(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!(r#"select pg_advisory_xact_lock($1)::text as "locked""#, LOCK).fetch_one(conn).await?;
    Ok(())
}

/// A message that this process sends.
pub struct Claimed {
    pub org: OrgId,
    pub id: DeliveryId,
    pub hook: HookId,
    pub event: HookEventId,
    pub url: String,
    pub body: String,
    /// All of them, this one included.
    pub attempts: i32,
    /// Since it was last sent by hand, this one included.
    pub tries: i32,
    pub data_key: DataKeyId,
    pub nonce: Vec<u8>,
    pub ciphertext: Vec<u8>,
    /// While the secret before signs too.
    pub old_nonce: Option<Vec<u8>>,
    pub old_ciphertext: Option<Vec<u8>>,
}

/// Claims what is due: at most so many for an address and for an organization, with what is being sent to them now. First
/// comes whoever would have the fewest in flight with it, and among those the longest due, so that organizations whose
/// addresses are slow keep no other waiting. The caller holds the lock of claims.
///
/// It goes from address to address of those for which something waits, each a step in the index `hook_delivery_due_of`:
/// addresses for which nothing does are not looked at, however many there are, and a long queue is not walked over.
pub async fn claim(
    conn: &mut PgConnection,
    claim: Uuid,
    lease: Duration,
    (most, of_hook, of_org): (i64, i64, i64),
) -> Result<Vec<Claimed>, sqlx::Error> {
    sqlx::query_as!(
        Claimed,
        r#"with recursive flight as (
            select org_id, hook_id, count(*) as n from hook_delivery
            where claim is not null and next_at > statement_timestamp() group by org_id, hook_id
        ), waiting as (
            (select org_id, hook_id from hook_delivery where state = 'pending' order by org_id, hook_id limit 1)
            union all
            select n.org_id, n.hook_id from waiting w
            cross join lateral (
                select x.org_id, x.hook_id from hook_delivery x
                where x.state = 'pending' and (x.org_id, x.hook_id) > (w.org_id, w.hook_id)
                order by x.org_id, x.hook_id limit 1
            ) n
        ), due as (
            select w.org_id, d.id, d.next_at,
                row_number() over (partition by w.org_id order by d.next_at, d.id)
                    + coalesce((select sum(f.n) from flight f where f.org_id = w.org_id), 0) as place
            from waiting w
            cross join lateral (
                select x.id, x.next_at from hook_delivery x
                where x.org_id = w.org_id and x.hook_id = w.hook_id and x.state = 'pending'
                    and x.next_at <= statement_timestamp()
                order by x.next_at
                limit greatest($3::bigint - coalesce(
                    (select f.n from flight f where f.org_id = w.org_id and f.hook_id = w.hook_id), 0), 0)
            ) d
            -- As above.
            cross join lateral (
                select from hook h where h.org_id = w.org_id and h.id = w.hook_id and h.disabled_at is null limit 1
            ) switched_on
        ), chosen as (
            select org_id, id from due where place <= $4::bigint order by place, next_at, id limit $5
        ), taken as (
            update hook_delivery d set claim = $1, attempts = d.attempts + 1, tries = d.tries + 1,
                next_at = clock_timestamp() + $2::bigint * interval '1 second', last_at = clock_timestamp()
            from chosen c where d.org_id = c.org_id and d.id = c.id
            returning d.org_id, d.id, d.hook_id, d.event_id, d.attempts, d.tries
        )
        select t.org_id as "org!: OrgId", t.id as "id!: DeliveryId", t.hook_id as "hook!: HookId",
            t.event_id as "event!: HookEventId", h.url as "url!", e.body as "body!", t.attempts as "attempts!",
            t.tries as "tries!", h.data_key as "data_key!: DataKeyId", h.nonce as "nonce!", h.ciphertext as "ciphertext!",
            case when h.old_until > clock_timestamp() then h.old_nonce end as old_nonce,
            case when h.old_until > clock_timestamp() then h.old_ciphertext end as old_ciphertext
        from taken t
        join hook h on h.org_id = t.org_id and h.id = t.hook_id
        join hook_event e on e.org_id = t.org_id and e.id = t.event_id"#,
        claim,
        i64::try_from(lease.as_secs()).unwrap_or(i64::MAX),
        of_hook,
        of_org,
        most,
    )
    .fetch_all(conn)
    .await
}

/// Writes down what became of a try; `again` is after how long it is tried again, `None` for never. False when the claim was
/// lost meanwhile: somebody else is sending it.
pub async fn finish(
    conn: &mut PgConnection,
    claim: Uuid,
    sent: &Claimed,
    outcome: &Outcome,
    again: Option<Duration>,
) -> Result<bool, sqlx::Error> {
    let state = match (outcome.is_taken(), again) {
        (true, _) => Some("delivered"),
        (false, None) => Some("dead"),
        (false, Some(_)) => None,
    };
    let done = sqlx::query!(
        "update hook_delivery set claim = null, state = coalesce($4, state),
            ended_at = case when $4::text is not null then clock_timestamp() end,
            next_at = clock_timestamp() + $5::bigint * interval '1 millisecond',
            last_at = clock_timestamp(), last_status = $6, last_error = $7
         where org_id = $1 and id = $2 and claim = $3",
        sent.org.0,
        sent.id.0,
        claim,
        state,
        i64::try_from(again.unwrap_or_default().as_millis()).unwrap_or(i64::MAX),
        outcome.status.map(i32::from),
        outcome.error,
    )
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "insert into hook_attempt (org_id, delivery_id, number, milliseconds, status, error, excerpt)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        sent.org.0,
        sent.id.0,
        sent.attempts,
        outcome.milliseconds,
        outcome.status.map(i32::from),
        outcome.error,
        outcome.excerpt,
    )
    .execute(conn)
    .await?;
    Ok(true)
}

pub async fn note_working(conn: &mut PgConnection, org: OrgId, hook: HookId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update hook set failing_since = null where org_id = $1 and id = $2 and failing_since is not null",
        org.0,
        hook.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether it has been failing for so long, and at least so many tries within that time. Since it began to fail every try
/// did, so those are counted that were made; the counting ends where there are enough.
pub async fn note_failing(
    conn: &mut PgConnection,
    org: OrgId,
    hook: HookId,
    (so_long, tries): (Duration, i64),
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"update hook h set failing_since = coalesce(failing_since, now()) where org_id = $1 and id = $2
           returning case when failing_since < now() - $3::bigint * interval '1 second' then (
                select count(*) from (
                    select from hook_delivery d
                    join hook_attempt a on a.org_id = d.org_id and a.delivery_id = d.id
                    where d.org_id = $1 and d.hook_id = $2 and d.last_at >= now() - $3::bigint * interval '1 second'
                        and a.at >= now() - $3::bigint * interval '1 second'
                    limit $4
                ) lately
           ) >= $4 else false end as "long!""#,
        org.0,
        hook.0,
        i64::try_from(so_long.as_secs()).unwrap_or(i64::MAX),
        tries,
    )
    .fetch_one(conn)
    .await
}
