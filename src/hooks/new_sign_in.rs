//! Telling the organizations of a person that somebody signed in from a new place.

use sqlx::PgPool;

use super::event::stamp;
use super::{EventKind, Payload, emit};
use crate::accounts::NewSignIn;
use crate::jobs::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use crate::orgs;

/// As many as one person may be in.
const MAX_ORGS: i64 = 100;

impl TaskHandler for NewSignIn {
    const IDENTIFIER: &'static str = "new_sign_in";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        tell(pool, &self).await.map_err(|error| error.to_string())
    }
}

/// Running it again writes nothing again. Neither the address of the network nor the mail address is told.
async fn tell(pool: &PgPool, told: &NewSignIn) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    for org in orgs::orgs_of(&mut tx, told.person, MAX_ORGS).await? {
        let payload = Payload::new()
            .with("member", told.person.to_string())
            .with("browser", told.browser.clone())
            .with("signed_in_at", stamp(told.session.moment()));
        let reference = format!("new_sign_in:{}", told.session);
        emit::emit(&mut tx, org.id, EventKind::MemberNewSignIn, &reference, payload).await?;
    }
    tx.commit().await
}
