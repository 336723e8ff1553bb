//! The daily anchor of the audit logs, and where its copies go.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use metrics::gauge;
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::audit::{self, Anchor, Due};
use crate::base::{EmailAddress, SigningKey};
use crate::mail::{self, About, Kind, NewMail};
use crate::web::views::emails::{self, NoticeMail};

/// How often each process looks whether an anchor is due. The first look is at the start.
const EVERY: Duration = Duration::from_mins(10);
/// In the data directory of the process that took them.
const FILE: &str = "audit-anchors.log";

/// Who signs anchors, and who gets a copy.
#[derive(Clone, Debug)]
pub struct Anchoring {
    pub key: SigningKey,
    pub data_dir: PathBuf,
    /// A mailbox outside of this machine; `None` where the log is shipped elsewhere.
    pub mail_to: Option<EmailAddress>,
    /// What this installation is called.
    pub instance: String,
}

/// Runs until `stop`, in every process: whoever comes first takes the day's anchor. When that was is in the database, so
/// restarts neither repeat nor forget it.
pub async fn daily(pool: PgPool, anchoring: Anchoring, stop: CancellationToken) {
    loop {
        match anchoring.take(&pool, Due::Daily).await {
            // Where more chains have moved than one anchor holds, the next is due at once.
            Ok(Some(_)) => continue,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the audit logs could not be anchored; trying again"),
        }
        if let Err(error) = show(&pool).await {
            tracing::debug!(%error, "the last anchor could not be read");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

impl Anchoring {
    /// Takes an anchor and sends its copies off. `None` when none is due.
    ///
    /// # Errors
    /// Database errors, and a mail that cannot be written.
    pub async fn take(&self, pool: &PgPool, due: Due) -> anyhow::Result<Option<Anchor>> {
        let mut tx = pool.begin().await?;
        let Some(anchor) = audit::take_anchor(&mut tx, &self.key, due).await? else { return Ok(None) };
        self.mail(&mut tx, &anchor).await?;
        tx.commit().await?;
        let line = anchor.line();
        tracing::info!("{line}");
        if let Err(error) = self.append(&line) {
            tracing::warn!(%error, "the anchor could not be copied into the data directory");
        }
        Ok(Some(anchor))
    }

    async fn mail(&self, tx: &mut PgConnection, anchor: &Anchor) -> anyhow::Result<()> {
        let Some(to) = &self.mail_to else { return Ok(()) };
        let notice = NoticeMail {
            subject: format!("Audit anchor {} of {}", anchor.number, self.instance),
            lines: vec![
                "keep this mail. It shows later that the audit logs up to this moment were neither rewritten nor cut off."
                    .into(),
                anchor.line(),
            ],
            footer: "To compare: save the lines of such mails in a file, and run `farebox audit verify --copies FILE`."
                .into(),
            ..NoticeMail::default()
        };
        let mail = emails::notice(&notice)?;
        let event = format!("audit_anchor:{}", anchor.number);
        let new = NewMail {
            event,
            kind: Kind::AuditAnchor,
            to: to.clone(),
            subject: mail.subject,
            text: mail.text,
            html: mail.html,
            about: About::default(),
        };
        Ok(mail::enqueue(tx, new).await?)
    }

    fn append(&self, line: &str) -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(self.data_dir.join(FILE))?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()
    }
}

/// The same in every process, whichever took it.
async fn show(pool: &PgPool) -> Result<(), sqlx::Error> {
    if let Some(last) = audit::last_anchor(&mut *pool.acquire().await?).await? {
        let seconds = u32::try_from(last.at.timestamp()).unwrap_or(u32::MAX);
        gauge!("farebox_audit_last_anchor_timestamp_seconds").set(seconds);
    }
    Ok(())
}
