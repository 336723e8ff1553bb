//! The job that a falling balance leaves behind; the trigger of migration 0018 writes it.

use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::processors::Processors;
use super::{alerts, auto};
use crate::accounts::Links;
use crate::base::ids::OrgId;
use crate::jobs::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use crate::ledger::WatchKind;

/// One crossing of one watch. Running it again does nothing again: mails and attempts are kept by its number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BalanceCrossed {
    pub org: OrgId,
    pub kind: WatchKind,
    pub crossing: i64,
}

impl TaskHandler for BalanceCrossed {
    const IDENTIFIER: &'static str = "balance_crossed";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        let processors = context.get_ext::<Processors>().ok_or("no processors")?;
        let handled = match self.kind {
            WatchKind::LowBalance => {
                let links = Links { base: processors.public_url.clone() };
                alerts::tell(pool, &links, self.org, self.crossing).await
            }
            WatchKind::AutoTopup => {
                auto::attempt(pool, processors, self.org, auto::Cause::Crossing(self.crossing)).await
            }
        };
        handled.map_err(|error| {
            tracing::error!(org = %self.org, kind = self.kind.as_str(), %error, "a low balance was not handled yet");
            error.to_string()
        })
    }
}
