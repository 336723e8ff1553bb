//! The job that sends one mail of the outbox.

use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{Mailer, outbox};
use crate::base::ids::MailId;
use crate::jobs::{IntoTaskHandlerResult, TaskHandler, WorkerContext};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SendMail {
    pub mail: MailId,
}

impl TaskHandler for SendMail {
    const IDENTIFIER: &'static str = "send_mail";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        let mailer = context.get_ext::<Mailer>().ok_or("no mailer")?;
        let job = context.job();
        send(pool, mailer, self.mail, job.attempts() >= job.max_attempts()).await
    }
}

async fn send(pool: &PgPool, mailer: &Mailer, id: MailId, last_try: bool) -> Result<(), String> {
    let text = |error: sqlx::Error| error.to_string();
    let mut conn = pool.acquire().await.map_err(text)?;
    let Some(mail) = outbox::one(&mut conn, id).await.map_err(text)? else { return Ok(()) };
    // Whoever had an erased account is written to no more.
    if mail.sent_at.is_some() || mail.recipient.is_empty() {
        return Ok(());
    }
    if last_try {
        outbox::mark_dead(&mut conn, id).await.map_err(text)?;
    }
    drop(conn);
    let sent = mailer.send(&mail).await;
    let mut conn = pool.acquire().await.map_err(text)?;
    match sent {
        Ok(()) => outbox::mark_sent(&mut conn, id, mailer.leaves_the_house()).await.map_err(text),
        Err(error) => {
            let error = mail.without_recipient(&error.to_string());
            if last_try {
                tracing::error!(mail = %id, kind = mail.kind, error, "a mail was given up; see `farebox mail dead`");
            } else {
                tracing::warn!(mail = %id, kind = mail.kind, error, "a mail was not sent; it will be tried again");
            }
            outbox::mark_failed(&mut conn, id, &error).await.map_err(text)?;
            Err(error)
        }
    }
}
