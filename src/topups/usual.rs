//! What members get where they chose nothing, with what the organization set about money.

use sqlx::PgConnection;

use super::alerts::Alert;
use super::store;
use crate::base::ids::OrgId;
use crate::mail::Topic;
use crate::notices::{self, Choice};
use crate::orgs::Role;

/// What the settings of an organization make usual.
#[derive(Clone, Copy, Debug)]
pub struct Usual {
    enabled: bool,
    to_owners: bool,
    to_billing: bool,
}

impl Usual {
    /// # Errors
    /// Database errors only.
    pub async fn of(conn: &mut PgConnection, org: OrgId) -> Result<Usual, sqlx::Error> {
        Ok(Usual::with(&store::alert(conn, org).await?))
    }

    /// The same for whoever has read the alert.
    #[must_use]
    pub fn with(alert: &Alert) -> Usual {
        Usual { enabled: alert.enabled, to_owners: alert.to_owners, to_billing: alert.to_billing }
    }

    /// What somebody of a role gets of a topic who chose nothing.
    #[must_use]
    pub fn choice(&self, topic: Topic, role: Role) -> Choice {
        let told = |yes: bool| if yes { Choice::All } else { Choice::No };
        match (topic, role) {
            (Topic::LowBalance, Role::Owner) => told(self.to_owners),
            (Topic::LowBalance, Role::Billing) => told(self.to_billing),
            _ => notices::usual(topic, role),
        }
    }

    /// The alert is on; while it is off nobody is told of a low balance, whatever they chose.
    #[must_use]
    pub fn tells_of_low_balance(&self) -> bool {
        self.enabled
    }
}
