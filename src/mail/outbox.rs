//! The outbox table.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::kind::{Kind, Sent};
use super::off::Off;
use super::send::SendMail;
use crate::base::EmailAddress;
use crate::base::email_address::masked;
use crate::base::ids::{MailId, OrgId, PersonId};
use crate::db::interval;
use crate::jobs;

/// Of which organization and of whom a mail tells, beside whom it goes to. It is forgotten with them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct About {
    pub org: Option<OrgId>,
    pub person: Option<PersonId>,
}

impl About {
    #[must_use]
    pub fn org(org: OrgId) -> About {
        About { org: Some(org), person: None }
    }

    /// As it is, and of somebody who is named in it.
    #[must_use]
    pub fn and(self, person: Option<PersonId>) -> About {
        About { person, ..self }
    }
}

/// A mail to be sent once.
#[derive(Clone, Debug)]
pub struct NewMail {
    /// What happened, unique for ever: a second mail of the same event is not sent.
    pub event: String,
    pub kind: Kind,
    pub to: EmailAddress,
    pub subject: String,
    pub text: String,
    pub html: String,
    pub about: About,
}

/// Writes a mail and its job in the caller's transaction.
///
/// # Errors
/// Database errors only; an event that was written before is no error.
pub async fn enqueue(conn: &mut PgConnection, mail: NewMail) -> Result<(), sqlx::Error> {
    enqueue_chosen(conn, mail, None).await
}

/// As [`enqueue`], to somebody who may choose about mails of this kind in an organization.
///
/// # Errors
/// As [`enqueue`].
pub async fn enqueue_chosen(
    conn: &mut PgConnection,
    mail: NewMail,
    by: Option<(OrgId, PersonId)>,
) -> Result<(), sqlx::Error> {
    let id = MailId::fresh();
    let written = sqlx::query!(
        "insert into mail (id, event, kind, recipient, subject, text_body, html_body, choice_org, choice_person,
            about_org, about_person)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (event) do nothing",
        id.0,
        mail.event,
        mail.kind.code(),
        mail.to.as_str(),
        mail.subject.trim(),
        mail.text,
        mail.html,
        by.map(|(org, _)| org.0),
        by.map(|(_, person)| person.0),
        mail.about.org.map(|org| org.0),
        mail.about.person.map(|person| person.0),
    )
    .execute(&mut *conn)
    .await?;
    if written.rows_affected() == 1 {
        jobs::enqueue(conn, &SendMail { mail: id }, &job_key(id)).await?;
    }
    Ok(())
}

/// One mail has one job, also when it is tried anew.
pub fn job_key(id: MailId) -> String {
    format!("mail:{id}")
}

/// A mail as the outbox keeps it.
#[derive(Clone, Debug)]
pub struct StoredMail {
    pub id: MailId,
    pub kind: String,
    pub recipient: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    pub created_at: DateTime<Utc>,
    pub sent_at: Option<DateTime<Utc>>,
    pub last_error: String,
    /// Since when it is a dead letter: it used up its tries.
    pub dead_at: Option<DateTime<Utc>>,
    /// Whose choice about which organization decides on such mails.
    pub choice_org: Option<OrgId>,
    pub choice_person: Option<PersonId>,
}

impl StoredMail {
    /// What its reader may switch off; `None` for what is always sent, and for addresses that are nobody's.
    #[must_use]
    pub fn off(&self) -> Option<Off> {
        let Sent::Chosen(topic) = Kind::parse(&self.kind)?.sent() else { return None };
        Some(Off { org: self.choice_org?, person: self.choice_person?, topic })
    }

    /// Who gets it, for those whom it does not concern.
    #[must_use]
    pub fn masked_recipient(&self) -> String {
        masked(&self.recipient)
    }

    /// What a mail server said, which often repeats the address.
    #[must_use]
    pub fn without_recipient(&self, said: &str) -> String {
        said.replace(&self.recipient, &self.masked_recipient())
    }
}

/// The newest mails, for the development mailbox.
///
/// # Errors
/// Database errors only.
pub async fn latest(conn: &mut PgConnection, limit: i64) -> Result<Vec<StoredMail>, sqlx::Error> {
    sqlx::query_as!(
        StoredMail,
        r#"select id as "id: MailId", kind, recipient, subject, text_body as text, html_body as html, created_at,
            sent_at, last_error, dead_at, choice_org as "choice_org: OrgId",
            choice_person as "choice_person: PersonId"
           from mail order by created_at desc, id desc limit $1"#,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// # Errors
/// Database errors only.
pub async fn one(conn: &mut PgConnection, id: MailId) -> Result<Option<StoredMail>, sqlx::Error> {
    sqlx::query_as!(
        StoredMail,
        r#"select id as "id: MailId", kind, recipient, subject, text_body as text, html_body as html, created_at,
            sent_at, last_error, dead_at, choice_org as "choice_org: OrgId",
            choice_person as "choice_person: PersonId"
           from mail where id = $1"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// Notes that a mail left. What it said is forgotten where a link in it may still be valid.
pub async fn mark_sent(conn: &mut PgConnection, id: MailId, forget: bool) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update mail set sent_at = now(), dead_at = null, attempts = attempts + 1, last_error = '',
            text_body = case when $2 then '' else text_body end,
            html_body = case when $2 then '' else html_body end
         where id = $1",
        id.0,
        forget,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn mark_failed(conn: &mut PgConnection, id: MailId, error: &str) -> Result<(), sqlx::Error> {
    let error: String = error.chars().take(500).collect();
    sqlx::query!("update mail set attempts = attempts + 1, last_error = $2 where id = $1", id.0, error)
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes that the try which begins is the last one.
pub async fn mark_dead(conn: &mut PgConnection, id: MailId) -> Result<(), sqlx::Error> {
    sqlx::query!("update mail set dead_at = coalesce(dead_at, now()) where id = $1 and sent_at is null", id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// Dead letters, the oldest first; those of `after` and before are left out.
///
/// # Errors
/// Database errors only.
pub async fn dead(conn: &mut PgConnection, after: Option<MailId>, limit: i64) -> Result<Vec<StoredMail>, sqlx::Error> {
    sqlx::query_as!(
        StoredMail,
        r#"select id as "id: MailId", kind, recipient, subject, text_body as text, html_body as html, created_at,
            sent_at, last_error, dead_at, choice_org as "choice_org: OrgId",
            choice_person as "choice_person: PersonId"
           from mail where dead_at is not null and ($1::uuid is null or id > $1) order by id limit $2"#,
        after.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// How many dead letters there are.
///
/// # Errors
/// Database errors only.
pub async fn count_dead(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from mail where dead_at is not null"#).fetch_one(conn).await
}

/// A mail that was not sent and not given up within this waits for too long.
const LATE: TimeDelta = TimeDelta::minutes(15);

/// How many mails wait for too long. Those whose reader was erased wait for nobody.
///
/// # Errors
/// Database errors only.
pub async fn count_late(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from mail
           where sent_at is null and dead_at is null and recipient <> '' and created_at < now() - $1::interval"#,
        interval(LATE),
    )
    .fetch_one(conn)
    .await
}

/// Forgets to whom the oldest mails went that are older than `age`, and what they said, if they were sent or given up. That there
/// was one, of what kind, and when stays, for an event is told once.
pub async fn forget_old(conn: &mut PgConnection, age: TimeDelta, limit: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "update mail set recipient = '', subject = '', text_body = '', html_body = '', last_error = '', dead_at = null,
            choice_org = null, choice_person = null, about_org = null, about_person = null
         where recipient <> '' and id in (
            select id from mail
            where recipient <> '' and (sent_at is not null or dead_at is not null) and created_at < now() - $1::interval
            order by created_at limit $2)",
        interval(age),
        limit,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// The same at once for mails that tell of an organization that is deleted. What waits to be sent is sent.
///
/// # Errors
/// Database errors only.
pub async fn forget_org(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update mail set recipient = '', subject = '', text_body = '', html_body = '', last_error = '', dead_at = null,
            choice_org = null, choice_person = null, about_org = null, about_person = null
         where (about_org = $1 or choice_org = $1) and (sent_at is not null or dead_at is not null)",
        org.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// False when the mail is no dead letter.
pub async fn revive(conn: &mut PgConnection, id: MailId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("update mail set dead_at = null where id = $1 and dead_at is not null", id.0)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}
