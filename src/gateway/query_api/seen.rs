//! How endpoints did, as all nodes saw it: the same rows that pages show. Anybody may ask for the lists that have it, so the
//! database is asked now and then and not each time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::sync::Mutex;

use crate::activity;
use crate::base::Clock;
use crate::catalog::EndpointId;
use crate::routing::{Measured, Recent};
use crate::web::api::answered;

/// Processes write down what they saw every five seconds, so a second more changes little.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// Uptime and speed of every endpoint that was asked.
#[derive(Debug, Default)]
pub struct Seen {
    recent: HashMap<EndpointId, Recent>,
    day: HashMap<EndpointId, Measured>,
}

impl Seen {
    pub fn recent(&self, endpoint: EndpointId) -> Recent {
        self.recent.get(&endpoint).copied().unwrap_or_default()
    }

    /// Of the last day, in whole hours.
    pub fn day(&self, endpoint: EndpointId) -> Measured {
        self.day.get(&endpoint).copied().unwrap_or_default()
    }
}

/// Reads it, and remembers it for a moment.
pub struct Watch {
    pool: PgPool,
    clock: Clock,
    last: Mutex<Option<(Instant, Arc<Seen>)>>,
}

impl Watch {
    pub fn new(pool: PgPool, clock: Clock) -> Watch {
        Watch { pool, clock, last: Mutex::default() }
    }

    /// One asks, and whoever comes meanwhile waits for its answer. While the database is away it is what was read last: the
    /// lists do without it, and do not make anybody wait again and again.
    pub async fn look(&self) -> Arc<Seen> {
        let mut last = self.last.lock().await;
        if let Some((read_at, seen)) = last.as_ref()
            && read_at.elapsed() < FRESH_FOR
        {
            return Arc::clone(seen);
        }
        let seen = match answered(self.read()).await {
            Ok(seen) => Arc::new(seen),
            Err(_) => last.take().map(|(_, seen)| seen).unwrap_or_default(),
        };
        *last = Some((Instant::now(), Arc::clone(&seen)));
        seen
    }

    async fn read(&self) -> Result<Seen, sqlx::Error> {
        let mut conn = self.pool.acquire().await?;
        let recent = activity::recent(&mut conn).await?;
        let day = activity::measured(&mut conn, self.clock.now() - activity::DAY, None).await?;
        Ok(Seen { recent, day })
    }
}
