//! The outbox table.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::send::SendMail;
use crate::base::EmailAddress;
use crate::base::ids::MailId;
use crate::jobs;

/// A mail to be sent once.
#[derive(Clone, Debug)]
pub struct NewMail {
    /// What happened, unique for ever: a second mail of the same event is not sent.
    pub event: String,
    pub kind: &'static str,
    pub to: EmailAddress,
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Writes a mail and its job in the caller's transaction.
///
/// # Errors
/// Database errors only; an event that was written before is no error.
pub async fn enqueue(conn: &mut PgConnection, mail: NewMail) -> Result<(), sqlx::Error> {
    let id = MailId::fresh();
    let written = sqlx::query!(
        "insert into mail (id, event, kind, recipient, subject, text_body, html_body)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (event) do nothing",
        id.0,
        mail.event,
        mail.kind,
        mail.to.as_str(),
        mail.subject.trim(),
        mail.text,
        mail.html,
    )
    .execute(&mut *conn)
    .await?;
    if written.rows_affected() == 1 {
        jobs::enqueue(conn, &SendMail { mail: id }, &format!("mail:{id}")).await?;
    }
    Ok(())
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
}

/// The newest mails, for the development mailbox.
///
/// # Errors
/// Database errors only.
pub async fn latest(conn: &mut PgConnection, limit: i64) -> Result<Vec<StoredMail>, sqlx::Error> {
    sqlx::query_as!(
        StoredMail,
        r#"select id as "id: MailId", kind, recipient, subject, text_body as text, html_body as html, created_at,
            sent_at, last_error
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
            sent_at, last_error
           from mail where id = $1"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// Notes that a mail left. What it said is forgotten where a link in it may still be valid.
pub async fn mark_sent(conn: &mut PgConnection, id: MailId, forget: bool) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update mail set sent_at = now(), attempts = attempts + 1, last_error = '',
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
