//! The personal organization, made the first time a person enters.

use sqlx::PgConnection;

use super::org::Org;
use super::store;
use crate::accounts::Person;
use crate::base::ids::{MeterId, OrgId};
use crate::ledger::{self, Limits, MeterKind, Threshold, WatchKind};

/// Makes the personal organization with its credit account and member meter, or returns it.
/// Runs in the caller's transaction; of two at once, one waits and finds what the other made.
///
/// # Errors
/// Database errors only.
pub async fn enter_personal(conn: &mut PgConnection, person: &Person) -> Result<Org, sqlx::Error> {
    store::lock_person(conn, person.id).await?;
    if let Some(org) = store::personal_org(conn, person.id).await? {
        return Ok(org);
    }
    let (org, meter) = (OrgId::fresh(), MeterId::fresh());
    let name = if person.name.is_empty() { "Personal".to_owned() } else { person.name.clone() };
    store::insert_org(conn, org, &name, "personal").await?;
    store::insert_membership(conn, org, person.id, "owner", meter).await?;
    store::insert_personal_org(conn, person.id, org).await?;
    ledger::open_credit(conn, org).await?;
    ledger::set_watch(conn, org, WatchKind::LowBalance, Threshold::DEFAULT).await?;
    ledger::create_meter(conn, org, meter, MeterKind::Member, Limits::default(), false).await?;
    store::personal_org(conn, person.id).await?.ok_or(sqlx::Error::RowNotFound)
}
