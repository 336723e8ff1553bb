//! Sending a payment back that its bank reported as fraud, where whoever runs the instance wants that.

use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};

use super::processors::Processors;
use super::refund::{By, RefundError, refund};
use crate::audit::{Action, Actor, Chain, Entry};
use crate::base::Origin;
use crate::base::ids::{OrgId, TopUpId};
use crate::jobs::{self, IntoTaskHandlerResult, TaskHandler, WorkerContext};

/// The job that follows the first warning about a payment. It refunds what is left of it if the setting is on when it
/// runs; running it again finds nothing left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefundWarned {
    pub org: OrgId,
    pub topup: TopUpId,
}

impl RefundWarned {
    /// Adds the job in the caller's transaction.
    pub async fn enqueue(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        jobs::enqueue(conn, self, &format!("refund_warned:{}", self.topup)).await
    }
}

impl TaskHandler for RefundWarned {
    const IDENTIFIER: &'static str = "refund_warned";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        let processors = context.get_ext::<Processors>().ok_or("no processors")?;
        if !processors.refund_warned {
            return Ok(());
        }
        let entry = Entry::new(Chain::Org(self.org), Actor::System, Action::RefundAsked, &Origin::here());
        match refund(pool, processors, (self.org, self.topup), None, By::Operator, entry).await {
            Ok(state) => {
                tracing::warn!(topup = %self.topup, ?state, "a payment that was reported as fraud is sent back");
                Ok(())
            }
            Err(RefundError::Database(error)) => Err(error.to_string()),
            Err(RefundError::Internal(error)) => Err(error.to_string()),
            // It was refunded or disputed meanwhile, or cannot be: what the processor says is booked in any case.
            Err(error) => {
                tracing::warn!(topup = %self.topup, %error, "a payment that was reported as fraud is not sent back");
                Ok(())
            }
        }
    }
}
