//! The rules of auto top-up and their attempts.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use crate::base::Usd;
use crate::base::ids::{OrgId, PaymentMethodId, PersonId, TopUpId};
use crate::topups::auto::{Cause, Rule, Wanted};

/// The rule of an organization, on or off.
///
/// # Errors
/// Database errors only.
pub async fn rule(conn: &mut PgConnection, org: OrgId) -> Result<Option<Rule>, sqlx::Error> {
    sqlx::query_as!(
        Rule,
        r#"select org_id as "org: OrgId", enabled, below as "below: Usd", credits as "credits: Usd",
            method_id as "method: PaymentMethodId", cap_day as "cap_day: Usd", cap_month as "cap_month: Usd", version,
            declines, coalesce(retry_at <= now(), true) as "may_retry!", stopped_reason,
            set_by as "set_by: PersonId"
           from auto_topup where org_id = $1"#,
        org.0,
    )
    .fetch_optional(conn)
    .await
}

/// As [`rule`], locked until the transaction ends. The caller holds the lock of the organization's credit.
pub async fn lock_rule(conn: &mut PgConnection, org: OrgId) -> Result<Option<Rule>, sqlx::Error> {
    sqlx::query!("select 1 as found from auto_topup where org_id = $1 for update", org.0)
        .fetch_optional(&mut *conn)
        .await?;
    rule(conn, org).await
}

/// Switches the rule on as wanted; its new version.
pub async fn save_rule(conn: &mut PgConnection, org: OrgId, wanted: &Wanted, by: PersonId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        "insert into auto_topup (org_id, enabled, below, credits, method_id, cap_day, cap_month, set_by)
         values ($1, true, $2, $3, $4, $5, $6, $7)
         on conflict (org_id) do update set enabled = true, below = excluded.below, credits = excluded.credits,
            method_id = excluded.method_id, cap_day = excluded.cap_day, cap_month = excluded.cap_month,
            set_by = excluded.set_by, version = auto_topup.version + 1, declines = 0, retry_at = null,
            stopped_reason = '', changed_at = now()
         returning version",
        org.0,
        wanted.below.amount(),
        wanted.credits.amount(),
        wanted.method.0,
        wanted.cap_day.amount(),
        wanted.cap_month.amount(),
        by.0,
    )
    .fetch_one(conn)
    .await
}

pub async fn stop_rule(conn: &mut PgConnection, org: OrgId, reason: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update auto_topup set enabled = false, stopped_reason = $2, declines = 0, retry_at = null, changed_at = now()
         where org_id = $1 and enabled",
        org.0,
        reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn note_success(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("update auto_topup set declines = 0, retry_at = null where org_id = $1", org.0).execute(conn).await?;
    Ok(())
}

pub async fn note_failure(
    conn: &mut PgConnection,
    org: OrgId,
    declines: i32,
    retry_after: i32,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update auto_topup set declines = $2, retry_at = now() + make_interval(secs => $3::integer) where org_id = $1",
        org.0,
        declines,
        retry_after,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether the enabled rule of an organization charges this method.
///
/// # Errors
/// Database errors only.
pub async fn is_charged_by_rule(
    conn: &mut PgConnection,
    org: OrgId,
    method: PaymentMethodId,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from auto_topup where org_id = $1 and method_id = $2 and enabled) as "used!""#,
        org.0,
        method.0,
    )
    .fetch_one(conn)
    .await
}

/// Whether an automatic purchase is open.
pub async fn has_open_auto(conn: &mut PgConnection, org: OrgId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from topup where org_id = $1 and origin = 'auto' and state = 'pending') as "open!""#,
        org.0,
    )
    .fetch_one(conn)
    .await
}

/// False when this cause had its attempt.
pub async fn insert_attempt(
    conn: &mut PgConnection,
    rule: &Rule,
    id: TopUpId,
    cause: Cause,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into auto_topup_attempt (org_id, id, cause, credits, method_id) values ($1, $2, $3, $4, $5)
         on conflict (org_id, cause) do nothing",
        rule.org.0,
        id.0,
        cause.to_string(),
        rule.credits.amount(),
        rule.method.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Why an attempt charged nothing.
pub async fn set_attempt_reason(
    conn: &mut PgConnection,
    org: OrgId,
    id: TopUpId,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!("update auto_topup_attempt set reason = $3 where org_id = $1 and id = $2", org.0, id.0, reason)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes down why an attempt is about to be cancelled; the last reason counts.
pub async fn give_up(conn: &mut PgConnection, org: OrgId, id: TopUpId, reason: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update auto_topup_attempt set given_up = $3 where org_id = $1 and id = $2", org.0, id.0, reason,)
        .execute(conn)
        .await?;
    Ok(())
}

/// Why an attempt was to be cancelled, whatever came of that; `None` where it never was, or is no attempt.
pub async fn given_up(conn: &mut PgConnection, org: OrgId, id: TopUpId) -> Result<Option<String>, sqlx::Error> {
    let found =
        sqlx::query_scalar!("select given_up from auto_topup_attempt where org_id = $1 and id = $2", org.0, id.0,)
            .fetch_optional(conn)
            .await?;
    Ok(found.flatten())
}

/// What an attempt charged, as its processor calls it, while the rule is on.
pub async fn attempted_method(conn: &mut PgConnection, org: OrgId, id: TopUpId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "select m.processor_ref from auto_topup_attempt a
         join payment_method m on m.org_id = a.org_id and m.id = a.method_id
         join auto_topup r on r.org_id = a.org_id and r.enabled
         where a.org_id = $1 and a.id = $2",
        org.0,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// What auto top-up charged, fees included: open or come in, whatever went back later.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct AutoCharged {
    /// Of the day and the month of UTC.
    pub today: Usd,
    pub this_month: Usd,
    /// Those that failed too.
    pub tries_today: i64,
}

/// # Errors
/// Database errors only.
pub async fn auto_charged(conn: &mut PgConnection, org: OrgId) -> Result<AutoCharged, sqlx::Error> {
    sqlx::query_as!(
        AutoCharged,
        r#"with start as (
            select date_trunc('day', now() at time zone 'utc') at time zone 'utc' as day,
                date_trunc('month', now() at time zone 'utc') at time zone 'utc' as month
           )
           select
            coalesce(sum(total) filter (where created_at >= day and state not in ('failed', 'expired')), 0) as "today!: Usd",
            coalesce(sum(total) filter (where state not in ('failed', 'expired')), 0) as "this_month!: Usd",
            count(*) filter (where created_at >= day) as "tries_today!"
           from topup, start where org_id = $1 and origin = 'auto' and created_at >= month"#,
        org.0,
    )
    .fetch_one(conn)
    .await
}

/// The next day of UTC, and in how many seconds it has begun.
pub async fn next_day(conn: &mut PgConnection) -> Result<(NaiveDate, i32), sqlx::Error> {
    let row = sqlx::query!(
        r#"with next as (select (now() at time zone 'utc')::date + 1 as day)
           select day as "day!", (extract(epoch from day::timestamp at time zone 'utc' - now()))::integer + 1 as "seconds!"
           from next"#,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.day, row.seconds))
}

/// An attempt, as its organization sees it.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    pub id: TopUpId,
    pub credits: Usd,
    pub label: String,
    /// Why nothing was charged; empty for one that was.
    pub reason: String,
    pub created_at: DateTime<Utc>,
    /// Of the purchase, for one that was charged.
    pub state: Option<String>,
    pub failure: Option<String>,
    pub checkout_url: Option<String>,
}

/// Attempts, newest first.
///
/// # Errors
/// Database errors only.
pub async fn attempts(
    conn: &mut PgConnection,
    org: OrgId,
    before: Option<TopUpId>,
    limit: i64,
) -> Result<Vec<AttemptRow>, sqlx::Error> {
    sqlx::query_as!(
        AttemptRow,
        r#"select a.id as "id: TopUpId", a.credits as "credits: Usd", m.label, a.reason, a.created_at,
            t.state as "state?", t.failure as "failure?", t.checkout_url
           from auto_topup_attempt a
           join payment_method m on m.org_id = a.org_id and m.id = a.method_id
           left join topup t on t.org_id = a.org_id and t.id = a.id
           where a.org_id = $1 and ($2::uuid is null or a.id < $2)
           order by a.id desc limit $3"#,
        org.0,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}
