//! What members get where they chose nothing, with what the organization set about money.

use sqlx::PgConnection;

use super::alerts::Alert;
use super::store;
use crate::base::ids::OrgId;
use crate::mail::Topic;
use crate::notices::{self, Choice};
use crate::orgs::Role;

/// What the settings of an organization make usual.
#[derive(Clone, Debug)]
pub struct Usual {
    alert: Alert,
}

impl Usual {
    /// # Errors
    /// Database errors only.
    pub async fn of(conn: &mut PgConnection, org: OrgId) -> Result<Usual, sqlx::Error> {
        Ok(Usual { alert: store::alert(conn, org).await? })
    }

    /// What somebody of a role gets of a topic who chose nothing.
    #[must_use]
    pub fn choice(&self, topic: Topic, role: Role) -> Choice {
        let told = |yes: bool| if yes { Choice::All } else { Choice::No };
        match (topic, role) {
            (Topic::LowBalance, Role::Owner) => told(self.alert.to_owners),
            (Topic::LowBalance, Role::Billing) => told(self.alert.to_billing),
            _ => notices::usual(topic, role),
        }
    }

    /// The alert is on; while it is off nobody is told of a low balance, whatever they chose.
    #[must_use]
    pub fn tells_of_low_balance(&self) -> bool {
        self.alert.enabled
    }
}
