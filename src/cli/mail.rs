//! `farebox mail`.

use std::process::ExitCode;

use chrono::SecondsFormat;
use clap::Subcommand;
use sqlx::PgPool;

use super::database::Database;
use crate::base::ids::MailId;
use crate::mail;

/// Mails that are read at once.
const PAGE: i64 = 200;

#[derive(Subcommand)]
pub enum Mail {
    /// List the mails that used up their tries: id, time, kind, to whom, and what the mail server said last.
    Dead,
    /// Put dead letters back, to be tried anew. Links in them may be over; who needs one asks for a new one.
    Retry {
        /// The id of one, or `all`.
        which: Which,
    },
}

/// One dead letter, or every one.
#[derive(Clone, Copy)]
pub enum Which {
    One(MailId),
    All,
}

impl std::str::FromStr for Which {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Which, Self::Err> {
        if text == "all" {
            return Ok(Which::All);
        }
        text.parse().map(Which::One).map_err(|_| "write an id that `farebox mail dead` lists, or `all`")
    }
}

/// # Errors
/// When the database does not answer, or the mail is no dead letter.
pub async fn run(command: Mail, database: &Database) -> anyhow::Result<ExitCode> {
    let pool = database.connect().await?;
    match command {
        Mail::Dead => list(&pool).await?,
        Mail::Retry { which: Which::All } => println!("{} mails are tried anew", mail::retry_all(&pool).await?),
        Mail::Retry { which: Which::One(id) } => {
            let mut tx = pool.begin().await?;
            anyhow::ensure!(mail::retry(&mut tx, id).await?, "{id} is no dead letter; `farebox mail dead` lists them");
            tx.commit().await?;
            println!("{id} is tried anew");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(pool: &PgPool) -> anyhow::Result<()> {
    let mut conn = pool.acquire().await?;
    let mut after = None;
    loop {
        let page = mail::dead(&mut conn, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        // Ids only grow, so this ends.
        after = Some(last.id);
        for mail in &page {
            let time = mail.created_at.to_rfc3339_opts(SecondsFormat::Secs, true);
            // A server's answer may have several lines.
            let error = mail.without_recipient(&mail.last_error).replace(char::is_control, " ");
            println!("{}  {time}  {}  {}  {error}", mail.id, mail.kind, mail.masked_recipient());
        }
    }
}
