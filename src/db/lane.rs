//! A connection that one worker keeps.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, PgPool};

/// What was not used for so long may have been cut off by something between here and the database.
const MAX_IDLE: Duration = Duration::from_secs(600);
/// A process of the database does not get younger, and what it remembers not less.
const MAX_AGE: Duration = Duration::from_secs(1_800);

/// Hands the same connection to its one user each time. A pool asks the server, whenever it gets a connection back,
/// whether it is still alive; for work that never pauses that is one question more for each batch.
#[derive(Debug)]
pub struct Lane {
    pool: PgPool,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    conn: LaneConnection,
    since: Instant,
}

/// The connection of a [`Lane`].
#[derive(Debug)]
pub struct LaneConnection {
    conn: PgConnection,
    opened: Instant,
}

impl Deref for LaneConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.conn
    }
}

impl DerefMut for LaneConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.conn
    }
}

impl Lane {
    /// Takes its connection out of `pool`, which then has room for another.
    #[must_use]
    pub fn new(pool: PgPool) -> Lane {
        Lane { pool, kept: Mutex::default() }
    }

    /// The connection that was kept, or a new one. Give it back with [`Lane::keep`] after everything went well, or
    /// after the server refused a statement that was a transaction of its own; one with which anything else went wrong, or on
    /// which a wait was given up, is dropped.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn take(&self) -> Result<LaneConnection, sqlx::Error> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Kept { conn, since }) = kept {
            if since.elapsed() < MAX_IDLE && conn.opened.elapsed() < MAX_AGE {
                return Ok(conn);
            }
            // Whether it says good-bye does not matter.
            conn.conn.close().await.ok();
        }
        Ok(LaneConnection { conn: self.pool.acquire().await?.detach(), opened: Instant::now() })
    }

    pub fn keep(&self, conn: LaneConnection) {
        let kept = Kept { conn, since: Instant::now() };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }
}
