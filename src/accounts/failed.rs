//! Failed tries, for the owner to see. A flood of them does not flood the log: the first of an hour are listed, the
//! others only counted.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::factor::Factor;
use super::mails::{self, Links};
use super::person::Person;
use super::store;
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::ids::MailId;
use crate::base::{EmailAddress, Origin};
use crate::jobs::{self, IntoTaskHandlerResult, TaskHandler, WorkerContext};

/// Entries in an hour.
const LISTED_PER_HOUR: i32 = 10;
/// As many wrong second factors in an hour mean that somebody has the password: its owner is told, once a day.
const TELL_AT: i32 = 5;

/// A try with a wrong password, at an address that may have no account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NoteFailedSignIn {
    email: String,
    factor: String,
    ip: String,
    user_agent: String,
}

/// Leaves a job that notes the try. It costs the same whether the address has an account or not.
pub async fn report(
    conn: &mut PgConnection,
    email: &EmailAddress,
    factor: Factor,
    origin: &Origin,
) -> Result<(), sqlx::Error> {
    let job = NoteFailedSignIn {
        email: email.as_str().to_owned(),
        factor: factor.code().to_owned(),
        ip: origin.ip.clone(),
        user_agent: origin.user_agent.clone(),
    };
    jobs::enqueue(conn, &job, &format!("failed_sign_in:{}", MailId::fresh())).await
}

impl TaskHandler for NoteFailedSignIn {
    const IDENTIFIER: &'static str = "note_failed_sign_in";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        self.note(pool).await.map_err(|error| error.to_string())
    }
}

impl NoteFailedSignIn {
    async fn note(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let Ok(email) = EmailAddress::parse(&self.email) else { return Ok(()) };
        let factor = Factor::parse(&self.factor).unwrap_or(Factor::Password);
        let origin = Origin { ip: self.ip.clone(), user_agent: self.user_agent.clone() };
        let mut tx = pool.begin().await?;
        if let Some(person) = store::find_by_email(&mut tx, &email).await? {
            list(&mut tx, &person, factor, &origin).await?;
        }
        tx.commit().await
    }
}

/// Counts the try, and lists it unless this hour has enough of them. Says how many there were in this hour.
async fn list(tx: &mut PgConnection, person: &Person, factor: Factor, origin: &Origin) -> Result<i32, sqlx::Error> {
    store::lock_person(tx, person.id).await?;
    let tries = store::count_try(tx, person.id, LISTED_PER_HOUR).await?;
    if tries <= LISTED_PER_HOUR {
        let unlisted = store::take_unlisted(tx, person.id).await?;
        let mut after = json!({ "with": [factor.code()] });
        if unlisted > 0 {
            after["failed_before_unlisted"] = unlisted.into();
        }
        let entry = Entry::new(Chain::Person(person.id), Actor::Nobody, Action::SignInFailed, origin);
        audit::record(tx, entry.change(serde_json::Value::Null, after)).await?;
    }
    Ok(tries)
}

/// Notes a wrong second factor of somebody who knew the first.
///
/// # Errors
/// Database errors, and a mail that cannot be written.
pub async fn note(
    tx: &mut PgConnection,
    links: &Links,
    person: &Person,
    factor: Factor,
    origin: &Origin,
) -> anyhow::Result<()> {
    let tries = list(tx, person, factor, origin).await?;
    if tries == TELL_AT {
        mails::second_factor_guessed(tx, links, person, origin).await?;
    }
    Ok(())
}
