//! What a passkey is asked, between the question and the answer.

use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::PgConnection;

use super::store;
use crate::base::Secret;
use crate::base::ids::PersonId;
use crate::base::secret::{Digest, random_token};

/// How long a browser waits for its person.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(300);
/// How long we wait for the browser.
pub const LASTS: TimeDelta = TimeDelta::minutes(5);

/// What an answer may be used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    Add,
    SignIn,
    Second,
    StepUp,
}

impl Purpose {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Purpose::Add => "add",
            Purpose::SignIn => "sign_in",
            Purpose::Second => "second",
            Purpose::StepUp => "step_up",
        }
    }
}

/// What goes to the browser.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Comes back with the answer.
    pub token: Secret<String>,
    /// For `navigator.credentials`.
    pub options: Value,
}

pub async fn ask(
    conn: &mut PgConnection,
    purpose: Purpose,
    person: Option<PersonId>,
    state: &impl Serialize,
    options: &Value,
) -> anyhow::Result<Asked> {
    let token = random_token();
    let state = serde_json::to_value(state)?;
    store::insert_challenge(conn, &Digest::of(token.expose()), purpose.code(), person, &state, LASTS).await?;
    Ok(Asked { token, options: options["publicKey"].clone() })
}

/// The state of a challenge, which is used up by this; `None` when it is not there, too old, or for something else.
pub async fn answered<T: DeserializeOwned>(
    conn: &mut PgConnection,
    purpose: Purpose,
    person: Option<PersonId>,
    token: &str,
) -> anyhow::Result<Option<T>> {
    let state = store::take_challenge(conn, &Digest::of(token), purpose.code(), person).await?;
    Ok(state.map(serde_json::from_value).transpose()?)
}
