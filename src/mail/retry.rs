//! Putting dead letters back.

use sqlx::{PgConnection, PgPool};

use super::outbox;
use super::send::SendMail;
use crate::base::ids::MailId;
use crate::jobs;

/// Mails of one transaction.
const BATCH: i64 = 200;

/// Lets a dead letter be tried anew, as often as a fresh mail. False when there is no such dead letter.
///
/// # Errors
/// Database errors only.
pub async fn retry(conn: &mut PgConnection, id: MailId) -> Result<bool, sqlx::Error> {
    let revived = outbox::revive(conn, id).await?;
    if revived {
        // Adding a job under its own key again gives it all its tries back.
        jobs::enqueue(conn, &SendMail { mail: id }, &outbox::job_key(id)).await?;
    }
    Ok(revived)
}

/// As [`retry`], for every dead letter there is; one that dies anew meanwhile is left for the next time. Says how many.
///
/// # Errors
/// Database errors only; what was put back before stays so.
pub async fn retry_all(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let (mut done, mut after) = (0, None);
    loop {
        let mut tx = pool.begin().await?;
        let batch = outbox::dead(&mut tx, after, BATCH).await?;
        let Some(last) = batch.last() else { return Ok(done) };
        // Ids only grow, so this ends.
        after = Some(last.id);
        for mail in &batch {
            done += u64::from(retry(&mut tx, mail.id).await?);
        }
        tx.commit().await?;
    }
}
