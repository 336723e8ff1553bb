//! Keeping a way to pay without buying. The processor learns it from its owner; we ask until it says how that ended.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use crate::base::ids::{MethodSetupId, OrgId};
use crate::db::moment;
use crate::orgs::Acting;
use crate::topups::fees::Method;
use crate::topups::processors::{Processor, Processors, SetupOrder, SetupState};
use crate::topups::start::{StartError, customer};
use crate::topups::{methods, store};

/// Whoever has not finished after this begins anew. Banks that send cents to prove an account take days.
const GIVE_UP_AFTER: TimeDelta = TimeDelta::days(15);
/// A request that the processor never answered, and that it has forgotten by then.
const UNHEARD_OF: TimeDelta = TimeDelta::hours(2);

/// A way to pay that somebody wants to keep.
#[derive(Clone, Debug)]
pub struct Setup {
    pub org: OrgId,
    pub id: MethodSetupId,
    pub processor: String,
    /// Of the fee schedule.
    pub method: String,
    /// `open`, `kept` or `over`.
    pub state: String,
    /// Of what was kept.
    pub label: String,
    pub processor_ref: Option<String>,
    pub checkout_url: Option<String>,
    pub created_at: DateTime<Utc>,
}

impl Setup {
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == "open"
    }
}

/// Writes it down, and opens the page at the processor. The same id again is the same one.
///
/// # Errors
/// See [`StartError`]. After `Processor(Unknown)` beginning it again is safe.
pub async fn begin(
    pool: &PgPool,
    processors: &Processors,
    acting: &Acting<'_>,
    id: MethodSetupId,
    method: &Method,
) -> Result<Setup, StartError> {
    let org = acting.org;
    let mut conn = pool.acquire().await?;
    store::insert_setup(&mut conn, org, id, method, acting.person.id).await?;
    let setup = store::setup(&mut conn, org, id).await?.filter(|setup| setup.method == method.slug);
    let setup = setup.ok_or(StartError::Differs)?;
    // No connection is held while the processor is asked.
    drop(conn);
    if setup.checkout_url.is_some() || !setup.is_open() {
        return Ok(setup);
    }
    let by = processors.get(&setup.processor)?;
    let customer = customer(pool, by, acting).await?;
    let return_url = processors.url(&format!("/credits/methods/keep/{id}"));
    let order = SetupOrder { id, method: setup.method.clone(), customer, return_url };
    let checkout = by.setup(&order).await?;
    let mut conn = pool.acquire().await?;
    store::set_setup_checkout(&mut conn, org, id, &checkout).await?;
    Ok(Setup { processor_ref: Some(checkout.reference), checkout_url: Some(checkout.url), ..setup })
}

/// Asks the processor how it ended, and keeps what it left behind. Asking again changes nothing.
///
/// # Errors
/// Database errors, and a processor that does not answer.
pub async fn ask(pool: &PgPool, by: &dyn Processor, setup: &Setup) -> anyhow::Result<()> {
    let told = match &setup.processor_ref {
        Some(reference) => by.setup_state(reference).await?,
        None => None,
    };
    let mut tx = pool.begin().await?;
    let age = moment(&mut tx).await? - setup.created_at;
    match told {
        Some(SetupState::Kept(saved)) => {
            if store::end_setup(&mut tx, setup, "kept", &saved.label).await? {
                methods::keep(&mut tx, setup.org, by.name(), &saved).await?;
            }
        }
        Some(SetupState::Over) => {
            store::end_setup(&mut tx, setup, "over", "").await?;
        }
        Some(SetupState::Open) if age > GIVE_UP_AFTER => {
            store::end_setup(&mut tx, setup, "over", "").await?;
        }
        None if age > UNHEARD_OF => {
            store::end_setup(&mut tx, setup, "over", "").await?;
        }
        Some(SetupState::Open) | None => {}
    }
    tx.commit().await?;
    Ok(())
}
