//! Jobs, announcements, upstream keys, and payments that are open.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::base::ids::{AnnouncementId, MailId, PersonId};

/// Disputes that are open, and refunds on their way.
pub async fn open_payments(conn: &mut PgConnection) -> Result<(i64, i64), sqlx::Error> {
    let row = sqlx::query!(
        r#"select (select count(*) from dispute where state in ('inquiry', 'open')) as "disputes!",
            (select count(*) from refund where state = 'pending') as "refunds!""#
    )
    .fetch_one(conn)
    .await?;
    Ok((row.disputes, row.refunds))
}

/// Calls of the last day whose process died, and when the audit logs were last anchored.
pub async fn swept_and_anchored(conn: &mut PgConnection) -> Result<(i64, Option<DateTime<Utc>>), sqlx::Error> {
    let row = sqlx::query!(
        r#"select (select coalesce(sum(calls), 0)::bigint from swept_hour where hour > now() - interval '24 hours') as "swept!",
            (select taken_at from audit_anchor order by number desc limit 1) as "anchored_at""#
    )
    .fetch_one(conn)
    .await?;
    Ok((row.swept, row.anchored_at))
}

/// A job of the queue, as an operator reads it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct JobRow {
    pub id: i64,
    pub task: String,
    pub key: Option<String>,
    pub attempts: i32,
    pub max_attempts: i32,
    pub run_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub locked: bool,
    pub last_error: Option<String>,
}

/// Unchecked, because the queue's tables belong to its crate and are made at run time.
const JOBS: &str = "select j.id, t.identifier as task, j.key, j.attempts::integer as attempts,
        j.max_attempts::integer as max_attempts, j.run_at, j.created_at, j.locked_at is not null as locked,
        j.last_error
     from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
     where ($1 = false or j.attempts >= j.max_attempts) and ($2::bigint is null or j.id < $2)
     order by j.id desc limit $3";

/// Jobs, newest first: all, or those that used up their tries.
pub async fn jobs(
    conn: &mut PgConnection,
    dead: bool,
    before: Option<i64>,
    most: i64,
) -> Result<Vec<JobRow>, sqlx::Error> {
    sqlx::query_as(JOBS).bind(dead).bind(before).bind(most).fetch_all(conn).await
}

/// Lets a job try again, with all its tries. False when there is none, or it runs.
pub async fn retry_job(conn: &mut PgConnection, id: i64) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("select 1 from graphile_worker.reschedule_jobs(array[$1]::bigint[], now(), null, 0)");
    Ok(!done.bind(id).fetch_all(conn).await?.is_empty())
}

/// A mail without what it says, which concerns only whoever gets it.
#[derive(Clone, Debug)]
pub struct MailRow {
    pub id: MailId,
    pub kind: String,
    pub recipient: String,
    pub created_at: DateTime<Utc>,
    pub sent_at: Option<DateTime<Utc>>,
    pub dead_at: Option<DateTime<Utc>>,
    pub attempts: i32,
    pub last_error: String,
}

/// Mails, newest first; `state` is `dead`, `waiting`, `sent` or empty.
pub async fn mails(
    conn: &mut PgConnection,
    state: &str,
    before: Option<MailId>,
    most: i64,
) -> Result<Vec<MailRow>, sqlx::Error> {
    sqlx::query_as!(
        MailRow,
        r#"select id as "id: MailId", kind, recipient, created_at, sent_at, dead_at, attempts, last_error from mail
           where case $1 when 'dead' then dead_at is not null when 'sent' then sent_at is not null
                when 'waiting' then sent_at is null and dead_at is null and recipient <> '' else true end
            and ($2::uuid is null or id < $2)
           order by id desc limit $3"#,
        state,
        before.map(|id| id.0),
        most,
    )
    .fetch_all(conn)
    .await
}

/// What is told to everybody.
#[derive(Clone, Debug)]
pub struct AnnouncementRow {
    pub id: AnnouncementId,
    pub body: String,
    pub tone: String,
    pub created_at: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub read: i64,
}

pub async fn announcements(conn: &mut PgConnection, most: i64) -> Result<Vec<AnnouncementRow>, sqlx::Error> {
    sqlx::query_as!(
        AnnouncementRow,
        r#"select id as "id: AnnouncementId", body, tone, created_at, until, ended_at,
            (select count(*) from announcement_read r where r.announcement_id = a.id) as "read!"
           from announcement a order by created_at desc limit $1"#,
        most,
    )
    .fetch_all(conn)
    .await
}

pub async fn insert_announcement(
    conn: &mut PgConnection,
    id: AnnouncementId,
    (body, tone): (&str, &str),
    by: PersonId,
    until: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into announcement (id, body, tone, made_by, until) values ($1, $2, $3, $4, $5)",
        id.0,
        body,
        tone,
        by.0,
        until,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// False when it had ended, or there is none.
pub async fn end_announcement(conn: &mut PgConnection, id: AnnouncementId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("update announcement set ended_at = now() where id = $1 and ended_at is null", id.0);
    Ok(done.execute(conn).await?.rows_affected() == 1)
}

/// An upstream and the key that is stored for it; never the key itself.
#[derive(Clone, Debug)]
pub struct UpstreamRow {
    pub slug: String,
    pub name: String,
    pub kind: String,
    pub base_url: Option<String>,
    pub needs_key: bool,
    pub enabled: bool,
    pub key_since: Option<DateTime<Utc>>,
    /// Calls of the last day, and those of them that failed.
    pub calls: i64,
    pub failed: i64,
}

pub async fn upstreams(conn: &mut PgConnection) -> Result<Vec<UpstreamRow>, sqlx::Error> {
    sqlx::query_as!(
        UpstreamRow,
        r#"with lately as materialized (
              select provider, sum(requests)::bigint as calls, sum(failed)::bigint as failed
              from house_used(date_trunc('hour', now(), 'UTC') - interval '23 hours', now()) group by provider
           )
           select p.slug, p.name, p.kind, p.base_url, p.key_env is not null as "needs_key!", p.enabled,
            s.created_at as "key_since?", coalesce(l.calls, 0) as "calls!", coalesce(l.failed, 0) as "failed!"
           from provider p left join provider_secret s on s.provider_id = p.id left join lately l on l.provider = p.slug
           where p.retired_at is null order by p.slug limit 500"#
    )
    .fetch_all(conn)
    .await
}

/// A provider that fails.
#[derive(Clone, Debug)]
pub struct FailingProvider {
    pub name: String,
    pub answered: i64,
    pub failed: i64,
}

/// Providers that failed at least as often as they answered in the last half hour, as all processes saw it, and at least
/// `fewest` times.
pub async fn failing_providers(conn: &mut PgConnection, fewest: i64) -> Result<Vec<FailingProvider>, sqlx::Error> {
    sqlx::query_as!(
        FailingProvider,
        r#"select p.name, coalesce(sum(m.calls) filter (where m.what = 'answered'), 0)::bigint as "answered!",
            coalesce(sum(m.calls) filter (where m.what = 'failed'), 0)::bigint as "failed!"
           from endpoint_minute m join endpoint e on e.id = m.endpoint_id join provider p on p.id = e.provider_id
           where m.minute > date_trunc('minute', now(), 'UTC') - interval '30 minutes' and m.what in ('answered', 'failed')
           group by p.id, p.name
           having coalesce(sum(m.calls) filter (where m.what = 'failed'), 0) >= greatest($1::bigint,
                coalesce(sum(m.calls) filter (where m.what = 'answered'), 0))
           order by p.name limit 20"#,
        fewest,
    )
    .fetch_all(conn)
    .await
}
