//! A forgotten password. Whoever asks is told the same.

use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use url::Url;

use super::device::Device;
use super::password::{Hasher, Password};
use super::sessions::end_other_sessions;
use super::sign_in::SignInError;
use super::{mails, store, two_factor};
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::ids::MailId;
use crate::base::secret::Digest;
use crate::base::{EmailAddress, Origin};
use crate::jobs::{self, IntoTaskHandlerResult, TaskHandler, WorkerContext};

/// Somebody asked for a link. Whether there is such an account is looked up in a job, so that asking takes as long
/// for every address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StartRecovery {
    email: String,
    /// Where links lead.
    base: Url,
}

/// Has a link mailed, if the address has a proven account. The caller gives a transaction.
///
/// # Errors
/// Database errors only.
pub async fn start_recovery(
    conn: &mut PgConnection,
    links: &mails::Links,
    email: &EmailAddress,
) -> Result<(), sqlx::Error> {
    let job = StartRecovery { email: email.as_str().to_owned(), base: links.base.clone() };
    jobs::enqueue(conn, &job, &format!("start_recovery:{}", MailId::fresh())).await
}

impl TaskHandler for StartRecovery {
    const IDENTIFIER: &'static str = "start_recovery";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        self.mail(pool).await.map_err(|error| error.to_string())
    }
}

impl StartRecovery {
    async fn mail(&self, pool: &PgPool) -> anyhow::Result<()> {
        let Ok(email) = EmailAddress::parse(&self.email) else { return Ok(()) };
        let links = mails::Links { base: self.base.clone() };
        let mut tx = pool.begin().await?;
        if let Some(person) = store::find_by_email(&mut tx, &email).await?
            && person.verified_at.is_some()
        {
            mails::recover(&mut tx, &links, &person, &email).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// Sets a new password by a mailed link, ends every session of the account, and tells its owner. The second factor
/// stays as it is.
///
/// # Errors
/// `WrongLink` when the link is unknown, used or too old; `Password` for one that may not be chosen; `Busy` while too many
/// others are hashed.
pub async fn reset_password(
    pool: &PgPool,
    hasher: &Hasher,
    links: &mails::Links,
    token: &str,
    password: &str,
    origin: &Origin,
) -> Result<(), SignInError> {
    let digest = Digest::of(token);
    let mut conn = pool.acquire().await?;
    let person = store::token_owner(&mut conn, &digest, "recover").await?.ok_or(SignInError::WrongLink)?;
    drop(conn);
    let hash = hasher.hash(Password::choose(password, &person.email)?).await?;
    let mut tx = pool.begin().await?;
    // Two links of one person that are used at once wait here, so that the first makes the second worthless.
    store::lock_person(&mut tx, person.id).await?;
    if !store::use_token(&mut tx, &digest, "recover").await? {
        return Err(SignInError::WrongLink);
    }
    store::set_password(&mut tx, person.id, &hash).await?;
    store::delete_recovery_links(&mut tx, person.id).await?;
    end_other_sessions(&mut tx, person.id, None).await?;
    // Whoever reads the account's mail is its owner: a flood of guesses must not keep them out now. Where two factors are asked
    // for, a mailbox is one of them at most, and a place becomes known by both only.
    if !two_factor::is_on(&mut tx, person.id).await? {
        store::remember_device(&mut tx, person.id, &Device::of(&origin.user_agent, &origin.ip)).await?;
    }
    mails::password_reset(&mut tx, links, &person, origin).await?;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::PasswordReset, origin);
    audit::record(&mut tx, entry.named(&person.name)).await?;
    Ok(tx.commit().await?)
}
