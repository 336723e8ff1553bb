//! Organizations as processors know them: forgotten there when they end here.

use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};

use super::processors::Processors;
use super::store;
use crate::base::ids::OrgId;
use crate::jobs::{self, IntoTaskHandlerResult, TaskHandler, WorkerContext};

/// Forgets, in the caller's transaction, what an organization that ends can be charged with, and leaves a job behind that
/// has the processors forget it as well. Payments and receipts stay, because tax law wants them.
///
/// # Errors
/// Database errors only.
pub async fn forget(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    store::erase_methods(conn, org).await?;
    store::delete_setups(conn, org).await?;
    if store::customers(conn, org).await?.is_empty() {
        return Ok(());
    }
    jobs::enqueue(conn, &ForgetCustomers { org }, &format!("forget_customers:{org}")).await
}

/// The job that has processors forget an organization. Running it again does nothing again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForgetCustomers {
    pub org: OrgId,
}

impl TaskHandler for ForgetCustomers {
    const IDENTIFIER: &'static str = "forget_customers";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        let processors = context.get_ext::<Processors>().ok_or("no processors")?;
        forget_there(pool, processors, self.org).await.map_err(|error| {
            tracing::error!(org = %self.org, %error, "a processor has not forgotten an organization yet");
            error.to_string()
        })
    }
}

async fn forget_there(pool: &PgPool, processors: &Processors, org: OrgId) -> anyhow::Result<()> {
    let customers = store::customers(&mut *pool.acquire().await?, org).await?;
    for (processor, reference) in customers {
        // No connection is held while the processor is asked.
        processors.get(&processor)?.forget_customer(&reference).await?;
        store::delete_customer(&mut *pool.acquire().await?, org, &processor).await?;
    }
    Ok(())
}
